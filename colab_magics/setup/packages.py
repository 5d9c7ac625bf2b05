"""Which distribution brings a module: by a small table, and by what is installed here.

A name that neither knows is named as unknown: a distribution of the same name may be a stranger's.
"""

from __future__ import annotations

import pkgutil
import re
import sys
import sysconfig
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Dict, FrozenSet, Iterable, List, NamedTuple, Optional, Sequence, Tuple


def _words(text: str) -> FrozenSet[str]:
    return frozenset(text.split())


#: Modules whose distribution has another name.
_OTHER_NAMES = {
    "Bio": "biopython",
    "Crypto": "pycryptodome",
    "IPython": "ipython",
    "Levenshtein": "python-Levenshtein",
    "MySQLdb": "mysqlclient",
    "OpenSSL": "pyOpenSSL",
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "faiss": "faiss-cpu",
    "fitz": "PyMuPDF",
    "git": "GitPython",
    "google.generativeai": "google-generativeai",
    "google.protobuf": "protobuf",
    "googleapiclient": "google-api-python-client",
    "haiku": "dm-haiku",
    "igraph": "python-igraph",
    "imblearn": "imbalanced-learn",
    "jwt": "PyJWT",
    "mpl_toolkits": "matplotlib",
    "pandas_datareader": "pandas-datareader",
    "pandas_profiling": "pandas-profiling",
    "pkg_resources": "setuptools",
    "psycopg2": "psycopg2-binary",
    "pylab": "matplotlib",
    "pytorch_lightning": "pytorch-lightning",
    "sentence_transformers": "sentence-transformers",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "surprise": "scikit-surprise",
    "pyro": "pyro-ppl",
    "skopt": "scikit-optimize",
    "tensorflow_addons": "tensorflow-addons",
    "tensorflow_datasets": "tensorflow-datasets",
    "tensorflow_hub": "tensorflow-hub",
    "tensorflow_probability": "tensorflow-probability",
    "tensorflow_text": "tensorflow-text",
    "umap": "umap-learn",
    "yaml": "PyYAML",
    "ydata_profiling": "ydata-profiling",
    "zmq": "pyzmq",
}
#: Modules whose distribution has the same name.
_SAME_NAMES = _words(
    """
    albumentations altair arviz astropy bokeh captum catboost cartopy cupy cvxpy dask datasets
    deap diffusers dgl einops emcee eli5 fastai fasttext flask flax folium gdown gensim
    geopandas gradio graphviz gym gymnasium h5py holoviews httpx hvplot hyperopt imageio imgaug
    ipywidgets jax jaxlib jieba joblib kaggle keras kornia lifelines lightgbm lightning lime
    librosa lxml matplotlib mlflow mlxtend missingno moviepy music21 mxnet mne netCDF4 networkx
    nibabel nilearn nltk numba numexpr numpy onnx onnxruntime openai openpyxl optax optuna
    orjson pandas patsy peft plotly plotnine polars prettytable prophet psutil pyarrow pycaret
    pydantic pydicom pydot pydub pygame pymc pymc3 pymongo pyod pyproj pyspark pytesseract
    pytest pytz rasterio ray rdkit redis regex requests safetensors scipy seaborn selenium
    sentencepiece seqeval shap shapely SimpleITK simpy six skorch sktime soundfile spacy
    sqlalchemy statsmodels streamlit sympy tables tabulate tensorboard tensorboardX tensorflow
    termcolor textblob theano thinc tiktoken timm tokenizers toml torch torchaudio torchtext
    torchvision tornado tqdm transformers tweepy ujson vaex wandb wordcloud xarray xgboost xlrd
    xlsxwriter xlwt yfinance zarr
    """
)
#: Modules that were in the standard library of older Pythons.
_ONCE_STANDARD = _words(
    """
    asynchat asyncore binhex cgi cgitb chunk crypt distutils formatter imghdr imp lib2to3
    mailcap msilib nis nntplib ossaudiodev parser pipes smtpd sndhdr spwd sunau symbol telnetlib
    uu xdrlib
    """
)
#: What runs the kernel is there already; what only Colab has, no index has.
_OF_KERNEL = {
    "google.colab",
    "colab_magics",
    "IPython",
    "ipykernel",
    "jupyter_client",
    "traitlets",
    "tornado",
    "zmq",
}


class ModuleSources(NamedTuple):
    """Where modules come from: ``packages`` are distributions, in the order of the modules.

    ``unknown`` are modules of no known distribution, ``local`` those of files beside the notebook.
    """

    packages: Tuple[str, ...]
    unknown: Tuple[str, ...]
    local: Tuple[str, ...]


def find_packages(modules: Iterable[str], folder: Optional[Path]) -> ModuleSources:
    """Return where modules come from; ``folder`` is the notebook's, if it has one."""
    packages: Dict[str, None] = {}
    unknown: List[str] = []
    local: List[str] = []
    for name in modules:
        if name in standard_library() or name in _OF_KERNEL:
            continue
        distribution = _known().get(name, "")
        if not distribution and folder is not None and _is_beside(name, folder):
            local.append(name)
            continue
        distribution = distribution or find_installed(name)
        if distribution:
            packages[distribution] = None
        else:
            unknown.append(name)
    return ModuleSources(tuple(packages), tuple(unknown), tuple(local))


@lru_cache(1)
def _known() -> Dict[str, str]:
    return {**{name: name for name in _SAME_NAMES}, **_OTHER_NAMES}


@lru_cache(1)
def standard_library() -> FrozenSet[str]:
    """Return the names of the standard library, of this Python and of older ones."""
    names = getattr(sys, "stdlib_module_names", None)
    if names is None:  # before Python 3.10
        folder = sysconfig.get_path("stdlib")
        inner = (str(Path(folder, "lib-dynload")), folder)
        names = {each.name for each in pkgutil.iter_modules(list(inner))}
    return frozenset({*names, *sys.builtin_module_names, *_ONCE_STANDARD, "__future__"})


def _is_beside(name: str, folder: Path) -> bool:
    """Tell whether a module is a file, or a folder with Python in it, beside the notebook."""
    if not name.isidentifier():
        return False
    try:
        if (folder / f"{name}.py").is_file():
            return True
        package = folder / name
        return package.is_dir() and any(path.suffix == ".py" for path in package.iterdir())
    except OSError:
        return False


def find_installed(name: str) -> str:
    """Return the one distribution here that brings a module; empty where none or several do."""
    owners = {
        str(distribution.metadata["Name"])
        for distribution in metadata.distributions()
        if name in _top_names(distribution)
    }
    return owners.pop() if len(owners) == 1 else ""


def _top_names(distribution: metadata.Distribution) -> Sequence[str]:
    """Return the top names of what a distribution has installed."""
    text = distribution.read_text("top_level.txt")
    if text:
        return text.split()
    files = distribution.files or ()
    tops = {path.parts[0] for path in files if path.suffix == ".py" and path.parts}
    return [re.sub(r"\.py$", "", top) for top in tops]
