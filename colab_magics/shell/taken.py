"""Whether the value that a magic returns is taken: ``x = %shell ls``, and not ``%shell ls``."""

import dis
import sys


#: Where IPython calls a magic from.
_CALLS = {"run_line_magic", "run_cell_magic"}
#: What Python does with a value that nobody takes; the last value of a cell is only shown.
_DROPS = {"POP_TOP", "PRINT_EXPR", "INTRINSIC_PRINT"}


def taken() -> bool:
    """Whether the line that called the running magic does something with its value.

    IPython does not tell, and keeps what the last line of a cell returns for as long as the kernel
    lives. What is not clear counts as taken.
    """
    frame = sys._getframe(1)
    while frame.f_code.co_name not in _CALLS:
        if frame.f_back is None:
            return True
        frame = frame.f_back
    caller = frame.f_back
    if caller is None:
        return True
    steps = dis.get_instructions(caller.f_code)
    then = next((one for one in steps if one.offset > caller.f_lasti), None)
    return then is None or not {then.opname, then.argrepr} & _DROPS
