"""Which names a cell reads, defines and changes."""

from __future__ import annotations

import builtins
import sys

import pytest

from colab_magics.checkpoint.names import HIDDEN, RESULT, find_effects

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("source", "read", "defined", "changed"),
    [
        ("f = 1; f", "", "f", ""),
        ("x += 1", "x", "x", "x"),
        ("del x", "x", "x", "x"),
        ("df['a'] = y", "df y", "", "df"),
        ("a.b.c = 1", "a", "", "a"),
        ("xs.append(y)", "xs y", "", "xs y"),
        ("print(x, len(y))", "x y", "", ""),
        ("train(model, data=d)", "d model train", "", "d model train"),
        ("y = x.copy()", "x", "y", ""),
        ("import numpy as np, os.path\nfrom a import b as c", "", "np os c", ""),
        ("def f(a, b=k): return a + g + len(b)", "k g", "f", "k"),
        ("def f(n): return f(n - 1)", "", "f", ""),
        ("def f(): return g()\ndef g(): return 1", "", "f g", ""),
        ("def f(): return k\ny = f()\nk = 2", "k", "f k y", "k"),
        ("def f():\n global n\n n += m", "n m", "f n", "m n"),
        ("def f():\n x = 1\n def g(): return x\n return g", "", "f", ""),
        ("g = lambda x: x + y", "y", "g", ""),
        ("[x for x in xs if x > y]", "xs y", "", "xs"),
        ("x = [x for x in range(n)]", "n", "x", ""),
        ("{k: v for k, v in d.items()}", "d", "", "d"),
        ("if c:\n x = 1\nx", "c x", "x", "c x"),
        ("if c: x = 1\nelse: x = 2\nx", "c", "x", "c"),
        ("for i in xs: t = i\nt", "t xs", "i t", "t xs"),
        ("try: import q\nexcept ImportError as e: q = None\nq", "q", "e q", "q"),
        ("with open(p) as h: t = h.read()\nt", "p", "h t", "p"),
        ("class A(B):\n x = k\n def m(self): return x + self.y", "B k x", "A", "B x"),
        ("class A:\n y = 1\n z = y", "", "A", ""),
        ("@deco\ndef f(): return q", "deco q", "f", "deco q"),
        ("a, (b, *c) = z", "z", "a b c", "z"),
        ("x: int = 3", "", "x", ""),
        ("(y := x) + y", "x", "y", "x"),
        ("next(it)", "it", "", "it"),
        ("%matplotlib inline\nx = 1", "", "x", ""),
        ("!ls {path} $name\nfiles = !ls\n", "name path", "files", ""),
        ("!a \\\n b c\nx", "x", "", ""),
        ("%time y = f(x)", "f x", "y", "f x"),
        ("%%time\ny = x", "x", "y", ""),
        ("%%capture out\nx", "x", "out", ""),
        ("%%bash\necho $x", "", "", ""),
        ("x?\n?y\n", "", "", ""),
        ("list = 3\nlist", "", "list", ""),
        ("s = '''\n%x\n!y\n'''\nz", "z", "s", ""),
        ("await go(x)", "go x", "", "go x"),
    ],
)
def test_the_names(source: str, read: str, defined: str, changed: str) -> None:
    """Read before it is bound for sure; bound or deleted; changed unless it is only looked at."""
    effects = find_effects(source)
    assert effects is not None
    own = {*vars(builtins), *HIDDEN, RESULT}
    assert effects.reads - own == set(read.split())
    assert effects.defines - {RESULT} == set(defined.split())
    assert effects.changes - own == set(changed.split())


@pytest.mark.skipif(sys.version_info < (3, 10), reason="elsewhere: this Python has no match")
def test_a_match() -> None:
    """Patterns bind names, of which no case is sure."""
    source = "match p:\n case [a, *b]: pass\n case {'x': c, **d}: pass\n case C(e) as f: pass\na"
    effects = find_effects(source)
    assert effects is not None
    assert effects.reads == {"p", "C", "a"}
    assert effects.defines == {*"abcdef", RESULT}


@pytest.mark.parametrize(
    "source", ["x = ", "exec(s)", "%%cython\ncdef int x", "%%sql\nselect 1", "1\n  2"]
)
def test_what_is_not_known(source: str) -> None:
    """A cell that is not Python, or is in part something else."""
    assert find_effects(source) is None
