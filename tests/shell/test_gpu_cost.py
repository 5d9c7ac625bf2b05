"""``%%gpu``: what a cell costs, in a child process whose NVML is the test double."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List
from xml.etree import ElementTree

import pytest
from doubles import nvml
from support.cells import Child

from colab_magics.gpu.measurement import Cost

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the NVML double is a Linux shared library"
)

#: Cells that move a card, as a computation would, and wait until the sampler has read it.
HELPERS = f"""{nvml.SAMPLED}
import json
def card(**fields):
    place = os.environ['FAKE_NVML']
    scenario = json.load(open(place))
    for name, value in fields.items():
        where = scenario['devices'][0]
        *path, last = name.split('__')
        for part in path:
            where = where[part]
        where[last] = value
    json.dump(scenario, open(place + '.new', 'w'))
    os.replace(place + '.new', place)
"""
#: A cell that is long enough for a card's own counter, and has some samples.
LONG = "end = time.monotonic() + 0.5\nwhile time.monotonic() < end: sampled(1)\nsampled(5)"
Start = Callable[..., Child]


@pytest.fixture
def start(library: Path, tmp_path: Path) -> Iterator[Start]:
    """Start a shell on a copy of a scenario that its cells may change."""
    started: List[Child] = []

    def begin(scenario: str = "busy", **more: str) -> Child:
        variables = nvml.environment(library, scenario)
        place = tmp_path / "scenario.json"
        place.write_bytes(nvml.SCENARIOS[scenario].read_bytes())
        home = str(tmp_path)
        log = tmp_path / "log"
        log.touch()
        variables.update(FAKE_NVML=str(place), FAKE_NVML_LOG=str(log))
        variables.update(HOME=home, IPYTHONDIR=home, **more)
        started.append(Child(variables))
        started[-1](HELPERS)
        return started[-1]

    yield begin
    for child in started:
        child.__exit__(None, None, None)


def measured(child: Child, body: str) -> Dict[str, Any]:
    """A cell's measurement, as its fields."""
    assert child(f"%%gpu -q -o\n{body}") == ""
    cell = "import json, dataclasses; print(json.dumps(dataclasses.asdict(gpu_cost)))"
    return dict(json.loads(child(cell)))


def test_the_report(start: Start) -> None:
    """Seconds, samples, and of the card memory, load and energy, each with its source."""
    child = start()
    child("%%gpu -q\npass")
    lines = child(f"%%gpu\n{LONG}\n'a value'").splitlines()
    assert child("print(_)") == "a value", "the last value is the cell's, as without"
    shown = [line for line in lines if "a value" not in line]
    assert re.fullmatch(r"[\d.]+ m?s · \d+ samples, longest gap \d+\.\d\d s", shown[0]), shown
    assert re.fullmatch(
        r"0 Tesla T4 · peak memory 1\.00 GiB of this process, 1\.4 of 15\.0 GiB on the whole GPU"
        r" · load mean 80 %, max 80 % · (\d+ J by its counter|about \d+ J, an estimate .*)",
        shown[1],
    ), shown
    drawn = [re.sub("[▁▂▃▄▅▆▇█]+", "*", line) for line in shown[2:]]
    assert drawn == ["memory 0  *", "load 0    *"]


@pytest.mark.once
def test_what_happens_in_between_is_seen(start: Start) -> None:
    """A peak that is over when the cell ends is the peak; load is weighed by time."""
    child = start()
    child("%%gpu -q\npass")
    cost = measured(
        child,
        "sampled(2)\ncard(memory_MiB__used=9000, utilization_percent__gpu=100)\nsampled(3)\n"
        f"card(memory_MiB__used=1178, utilization_percent__gpu=0)\n{LONG}",
    )
    (gpu,) = cost["samples"]["gpus"]
    assert gpu["peak"] == (9000 + 254) * 1024**2
    assert gpu["max_load"] == 100 and 0 < gpu["mean_load"] < 100
    assert gpu["counter"] > 0 and gpu["power"] > 0
    assert [load for _, _, load in gpu["points"]] == sorted(
        (load for _, _, load in gpu["points"]), key=[80, 100, 0].index
    )
    shown = str(child("print(gpu_cost)"))
    assert "9.0 of 15.0 GiB on the whole GPU" in shown


@pytest.mark.once
def test_the_picture(start: Start) -> None:
    """In HTML each card that was used has an image: valid SVG, with an area and a line."""
    child = start()
    measured(child, "sampled(6)")
    html = child("print(gpu_cost.report().html())")
    data = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', html)
    assert len(data) == 1
    svg = ElementTree.fromstring(base64.b64decode(data[0]))
    kinds = [node.tag.rpartition("}")[2] for node in svg]
    assert kinds == ["rect", "polygon", "polyline"]
    assert "● memory, of 15.0 GiB<" in html and "● load, of 100 %<" in html
    assert "▇" not in html


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        ("1 / 0", "ZeroDivisionError", "ZeroDivisionError after"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", "KeyboardInterrupt after"),
        ("x = = 1", "SyntaxError", ""),
    ],
)
def test_a_cell_that_fails(start: Start, body: str, error: str, words: str) -> None:
    """Its error is its own, once, and the cost is told; what cannot start costs nothing."""
    child = start()
    answer = child.attempt(f"%%gpu\n{body}")
    assert answer.error == error
    assert answer.shown.count("Traceback") <= 1
    assert "run_line_magic" not in answer.shown and "measuring.py" not in answer.shown
    assert ("0 Tesla T4 · peak memory" in answer.shown) == bool(words)
    assert words in answer.shown
    assert child("%%gpu -q\nprint(5)") == "5", "the next one is as ever"


def test_interrupted_while_it_runs(start: Start, tmp_path: Path) -> None:
    """Ctrl-C ends the cell; it is told what it cost, and the sampler goes on."""
    child = start()
    pid = sampler(child)
    os.mkfifo(tmp_path / "began")
    child.ask("%%gpu\nopen(os.environ['HOME'] + '/began', 'w').close()\nwhile True: pass")
    (tmp_path / "began").read_text()
    child.interrupt()
    answer = child.answer()
    assert answer.error == "KeyboardInterrupt"
    assert "KeyboardInterrupt after " in answer.shown and "load mean 80 %" in answer.shown
    assert sampler(child) == pid


def sampler(child: Child) -> int:
    """The process that measures for a child, once it has measured."""
    find = (
        "from colab_magics.extension.session import get_session\n"
        "from colab_magics.gpu.magic_measure import Measuring\n"
        "print(get_session(get_ipython()).hooks.of(Measuring)._idle[-1].pid)"
    )
    child("%%gpu -q\npass")
    return int(child(find))


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("%%gpu -q\n%%bash\necho hi", "hi"),
        ("%%gpu -q\n\n# why\n%time print(3)", "3"),
        ("%%gpu -q\nimport asyncio\nawait asyncio.sleep(0)\nprint('waited')", "waited"),
        ("%%gpu -q\n!echo $((1 + 1))", "2"),
        ("%%capture\n%%gpu\nprint(4)", ""),
        ("get_ipython().run_cell_magic('gpu', '-q', 'print(8)')", "8"),
    ],
)
def test_it_stands_above_any_cell(start: Start, cell: str, shown: str) -> None:
    """Other cell magics, shell lines and ``await`` are as they are without it."""
    lines = start()(cell).splitlines()
    assert [line for line in lines if "time" not in line.lower()] == ([shown] if shown else [])


def test_cells_within_cells(start: Start) -> None:
    """What is run from within a measured cell does not end its measurement."""
    child = start()
    child("%%gpu -q\npass")
    cost = measured(child, "get_ipython().run_cell('pass')\nsampled(3)")
    assert cost["samples"]["count"] >= 3


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("%%gpu require T4", "takes -q and -o NAME"),
        ("%%gpu run", "has no argument run"),
        ("%%gpu -o a b", "takes -q and -o NAME"),
    ],
)
def test_a_slip_is_refused_before_the_cell_runs(start: Start, line: str, text: str) -> None:
    """Nothing is run and nothing is measured."""
    child = start()
    answer = child.attempt(f"{line}\nprint('it ran')")
    assert answer.error == "UsageError" and text in answer.message
    assert "it ran" not in answer.shown and "·" not in answer.shown


@pytest.mark.once
def test_without_a_gpu_the_cell_runs(start: Start) -> None:
    """It takes its time, and why nothing else is told."""
    shown = start("nogpu")("%%gpu\nprint('ran')").splitlines()
    assert shown[0] == "ran" and re.fullmatch(r"(\d+|under 1) ms", shown[1])
    assert shown[2].startswith("No GPU was measured. ") and len(shown) == 3
    shown = start("mismatch")("%%gpu\npass").splitlines()
    assert "restart the machine" in shown[-1]


@pytest.mark.once
def test_fields_that_a_card_does_not_have(start: Start) -> None:
    """They are n/a, not 0; energy from its power is an estimate, and says so."""
    shown = start("vgpu")("%%gpu\nsampled(2)")
    assert "load mean 12 %, max 12 % · energy n/a" in shown
    shown = start("hostpids")("%%gpu\nsampled(4)")
    assert re.search(r"about [\d.]+ J, an estimate from its power", shown)
    assert "of this process" not in shown, "numbers of processes elsewhere are not taken for ours"
    shown = start("mig")("%%gpu\nsampled(4)")
    assert "0:0 NVIDIA A100-SXM4-40GB MIG 1g.5gb · peak memory 1.2 of 4.8 GiB" in shown
    assert "load n/a · energy n/a" in shown


def test_a_sampler_that_was_killed(start: Start) -> None:
    """The cell is not measured, which is said; the next one is."""
    child = start()
    pid = sampler(child)
    shown = child(f"%%gpu\nos.kill({pid}, 9)")
    assert "The GPU was not sampled: " in shown
    assert "0 Tesla T4 · peak memory" in child("%%gpu\npass")


@pytest.mark.once
def test_the_sampler_ends_with_the_kernel_and_with_the_extension(start: Start) -> None:
    """Killed or unloaded, nothing of ours goes on, though a fork of the kernel does."""
    child = start()
    first = sampler(child)
    child("%unload_ext colab_magics")
    assert not alive(first)
    child("%load_ext colab_magics")
    second = sampler(child)
    forked = child("pid = os.fork()\nif not pid: time.sleep(30); os._exit(0)\nprint(pid)")
    fork = int(forked.split()[0])  # a warning that it has threads may follow
    assert alive(second)
    child.process.send_signal(signal.SIGKILL)
    child.process.wait()
    end = time.monotonic() + 20
    while alive(second) and time.monotonic() < end:
        time.sleep(0.05)
    assert alive(fork) and not alive(second)
    os.kill(fork, signal.SIGKILL)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


TORCH = """
import sys, types
class Cuda:
    def __init__(self):
        self.calls, self.started, self.now, self.peak = [], True, [100, 0], [900, 0]
    def is_initialized(self):
        return self.started
    def device_count(self):
        return 2
    def synchronize(self, device):
        self.calls.append(('synchronize', device))
    def memory_reserved(self, device):
        return self.now[device]
    def reset_peak_memory_stats(self, device):
        self.peak[device] = self.now[device]
    def max_memory_allocated(self, device):
        return self.peak[device] // 2
    def max_memory_reserved(self, device):
        return self.peak[device]
torch = types.ModuleType('torch')
torch.cuda = Cuda()
sys.modules['torch'] = torch
"""


@pytest.mark.once
def test_what_torch_counts_itself(start: Start) -> None:
    """Its peak in the cell alone, for the devices that it uses; it waits for those and no other."""
    child = start()
    child(TORCH)
    shown = child("%%gpu\ntorch.cuda.peak[0] = 2 * 1024 ** 3")
    assert "torch cuda:0 · peak memory 1.0 GiB in tensors, 2.0 GiB reserved, by its own" in shown
    assert "cuda:1" not in shown
    assert child("print(torch.cuda.calls)") == "[('synchronize', 0), ('synchronize', 0)]"
    assert "torch" not in child("%%gpu\ntorch.cuda.started = False")


def test_a_torch_whose_gpu_has_failed(start: Start) -> None:
    """Its error is a line of the report; the cell's own is the one that is raised."""
    child = start()
    child(TORCH)
    child("def fail(device): raise RuntimeError('CUDA error: an illegal access\\nmore')")
    answer = child.attempt("%%gpu\ntorch.cuda.synchronize = fail\n1 / 0")
    assert answer.error == "ZeroDivisionError"
    assert "torch: CUDA error: an illegal access" in answer.shown


TENSORS = """
class Tensor:
    is_cuda = True
    def __init__(self, mib, at=None, leaf=True):
        self.mib, self.at, self.is_leaf, self.grad = mib, at or id(self), leaf, None
    def numel(self):
        return self.mib * 1024 ** 2 // 4
    def element_size(self):
        return 4
    def data_ptr(self):
        return self.at
class Module:
    def __init__(self, *tensors):
        self.tensors = tensors
    def parameters(self):
        return iter(self.tensors)
    def buffers(self):
        return iter(())
torch.Tensor, torch.nn = Tensor, types.SimpleNamespace(Module=Module)
torch.cuda.empty_cache = lambda: card(memory_MiB__used=600)
"""


@pytest.mark.once
def test_free_gives_back_and_names_the_rest(start: Start) -> None:
    """Caches are emptied; what variables hold is named with its size, the largest first."""
    child = start()
    child(TORCH)
    child(TENSORS)
    child(
        "model = Module(Tensor(1024), Tensor(512)); model.tensors[0].grad = Tensor(1024)\n"
        "batches = {'x': [Tensor(256)], 'y': (Tensor(128, leaf=False),)}\n"
        "view = Tensor(256, at=batches['x'][0].at)\nn = 5; text = 'abc'; many = [0] * 10 ** 6\n"
        "class Loader: pass\nloader = Loader(); loader.batch = Tensor(64)"
    )
    child("Tensor(768)")
    lines = child("%gpu free").splitlines()
    assert lines[0] == "0 Tesla T4 · 0.56 GiB freed · 0.8 of 15.0 GiB used"
    assert re.sub(r"Out.\d+.", "Out", lines[1]) == (
        "still held: model 2.50 GiB, Out 0.75 GiB, batches 0.38 GiB, loader 0.06 GiB"
    )
    assert lines[2] == "Delete what you do not need: del model, then %gpu free"
    assert child("print(len(batches))") == "2", "nothing is deleted"
    child("del model")
    assert child("%gpu free -q") == ""
    assert "model" not in child("%gpu free")


def test_free_lets_old_errors_go(start: Start) -> None:
    """What the functions of the last error held is let go, and so is its traceback."""
    child = start()
    child(
        "import weakref\nrefs = []\nclass Big: pass\n"
        "def f():\n    big = Big()\n    refs.append(weakref.ref(big))\n    1 / 0"
    )
    assert child.attempt("f()").error == "ZeroDivisionError"
    assert child("print(refs[0]() is None)") == "False", "an error keeps it"
    assert child("%gpu free") == "0 Tesla T4 · nothing to free · 1.4 of 15.0 GiB used"
    assert child("print(refs[0]() is None)") == "True"
    assert "No traceback" in child("%tb")


def test_free_and_watch_without_a_gpu(start: Start) -> None:
    """Each says so in a line; where nobody looks a watch shows once."""
    child = start("nogpu")
    assert child("%gpu free").startswith("No GPU found. ")
    assert child("%gpu watch").startswith("No GPU found. ")
    assert child("%gpu watch stop") == "No GPU is being watched"
    shown = start()("%gpu watch").splitlines()
    assert shown[1].startswith("0 Tesla T4  ") and shown[2].startswith("Not followed: ")


@pytest.mark.once
def test_one_measured_cell_in_another(start: Start) -> None:
    """Each has its own seconds; of a cell whose end nobody tells it is said, and it is run."""
    child = start()
    inner = "get_ipython().run_cell('%%gpu -q -o inner\\ntotal = 1')"
    child(f"%%gpu -q -o outer\n{inner}")
    assert child("print(outer.seconds > inner.seconds, total)") == "True 1"
    shown = child("get_ipython().run_cell('%%gpu -o silent\\nran = 1', silent=True)")
    assert "not measured" in shown
    assert child("print(ran, 'silent' in globals())") == "1 False"
    assert "0 Tesla T4" in child("%%gpu\npass")


@pytest.mark.once
def test_what_cannot_begin_does_not_stop_the_cell(start: Start) -> None:
    """No sampler, and a framework that fails without a word: the cell is run, and both are said."""
    child = start()
    child(TORCH)
    child(
        "from colab_magics.gpu import sampler\nclass Mute(Exception): pass\n"
        "def fail(*args, **options): raise OSError(12, 'no memory')\n"
        "def mute(device): raise Mute()\n"
        "popen, sampler.subprocess.Popen = sampler.subprocess.Popen, fail\n"
        "torch.cuda.reset_peak_memory_stats = mute"
    )
    shown = child("%%gpu\nprint('ran')")
    assert shown.splitlines()[0] == "ran"
    assert "torch: Mute" in shown and "cannot be started: no memory" in shown
    child("sampler.subprocess.Popen = popen")
    assert "0 Tesla T4" in child("%%gpu\npass")


@pytest.mark.once
def test_a_driver_that_is_slow_to_start(start: Start, tmp_path: Path) -> None:
    """The first cell says that it was not sampled; the process is left to start, and samples."""
    os.mkfifo(tmp_path / "driver")
    child = start()
    child("driver = os.environ['HOME'] + '/driver'")
    child("sampler.PATIENCE, sampler._CODE = 0.2, f'open({driver!r}).read(); ' + sampler._CODE")
    assert "its driver is slow to start" in child("%%gpu\npass")
    late = child("%%gpu -o\nsampler.PATIENCE = 60\nopen(driver, 'w').close()\nsampled(4)")
    assert "0 Tesla T4" in late
    assert child("print(gpu_cost.samples.count >= 3)") == "True"


def test_odd_spellings(start: Start) -> None:
    """An indented body, more spaces, a comment: as IPython's own cell magics take them."""
    child = start()
    assert child("%%gpu   -q  # why\n    x = 1\n    print(x)") == "1"
    assert child("%%gpu -q\nfrom __future__ import annotations\nprint(2)") == "2"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0001, "under 1 ms"), (0.9996, "1.00 s"), (119.7, "2 min"), (7325, "2 h 2 min")],
)
def test_how_long_it_took(seconds: float, text: str) -> None:
    """In words that do not carry over."""
    assert Cost(seconds).lines()[0] == text


@pytest.mark.once
def test_memory_that_is_not_a_cards_own(start: Start) -> None:
    """Of the machine's memory it is said so, and of an instance of a card; no counter is no 0 J."""
    shown = start("unified")("%%gpu\nsampled(2)")
    assert re.search(r"peak memory \d+\.\d+ of \d+\.\d GiB of the whole machine · load", shown)
    assert "on the whole instance" in start("mig")("%%gpu\npass")
    child = start("two")
    child("%%gpu -q\npass")
    assert "J by its counter" not in child(f"%%gpu\n{LONG}")


@pytest.mark.once
def test_free_goes_on_where_an_object_does_not_answer(start: Start) -> None:
    """Sparse tensors, dead proxies and errors of the framework: the rest is said all the same."""
    child = start()
    child(TORCH)
    child(TENSORS)
    child(
        "import weakref\nclass Sparse(Tensor):\n"
        "    def data_ptr(self): raise RuntimeError('sparse')\n"
        "class Odd(dict):\n    def items(self): raise TypeError\n"
        "sparse, odd, gone = Sparse(512), Odd(x=Tensor(256)), weakref.proxy(Tensor(1))"
    )
    assert "still held: sparse 0.50 GiB, odd 0.25 GiB" in child("%gpu free")
    child(
        "def fail(): raise RuntimeError('CUDA error: gone\\nmore')\ntorch.cuda.empty_cache = fail"
    )
    lines = child("%gpu free").splitlines()
    assert lines[1] == "torch: CUDA error: gone" and len(lines) == 2


def test_free_lets_chained_errors_go_and_generators_live(start: Start) -> None:
    """What an error was raised from is let go too; a generator that waits goes on."""
    child = start()
    child(
        "import weakref\nrefs = []\nclass Big: pass\n"
        "def f():\n    big = Big()\n    refs.append(weakref.ref(big))\n    raise MemoryError\n"
        "def g():\n    try: f()\n    except MemoryError as error: raise RuntimeError from error\n"
        "def numbers():\n    try: yield 1\n    except ValueError: yield 2\n    yield 3\n"
        "count = numbers(); next(count)"
    )
    assert child.attempt("g()").error == "RuntimeError"
    child("%gpu free")
    assert child("print(refs[0]() is None)") == "True"
    assert child("print(count.throw(ValueError))") == "2"
    child("%gpu free")
    assert child("print(next(count))") == "3"
