"""What strangers control: each file holds the attacks on one subject, each test one that once won.

Whoever finds the next one adds a line here before mending it. The table that pytest prints at the
end says how many were tried and how many held.
"""
