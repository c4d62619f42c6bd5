"""What a step reaches: each way to be reached, an edit there, and whether the fingerprint sees it."""

# The sources of the cases stand on one line each.
# ruff: noqa: E501

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import NamedTuple

import pytest

from headrace.core.fingerprint import fingerprint
from headrace.core.reach_facts import facts_of
from headrace.core.reach_normal import normal_digest
from headrace.core.stamps import Stamps


class Case(NamedTuple):
    name: str
    files: dict[str, str]
    edits: list[tuple[str, str, str]]
    target: str = "app.steps:work"


STEP = "from app.helpers import clean\n\ndef work(x):\n    return clean(x)\n"


def app(**modules: str) -> dict[str, str]:
    """A package ``app``; ``sub___deep`` is ``app/sub/deep.py``."""
    files = {
        f"app/{name.replace('___', '/').replace('init', '__init__') if name.startswith('sub') else name}.py": text
        for name, text in modules.items()
    }
    return {"app/__init__.py": "", **files}


COUNTING = [
    Case("body", app(steps="def work(x):\n    return x + 1\n"), [("app/steps.py", "+ 1", "+ 2")]),
    Case("integer to float", app(steps="def work(x):\n    return x + 1\n"), [("app/steps.py", "1", "1.0")]),
    Case("one to true", app(steps="def work(x):\n    return 1\n"), [("app/steps.py", "1", "True")]),
    Case("minus zero", app(steps="def work(x):\n    return 0.0\n"), [("app/steps.py", "0.0", "-0.0")]),
    Case("bytes to text", app(steps="def work(x):\n    return b'a'\n"), [("app/steps.py", "b'a'", "'a'")]),
    Case(
        "helper",
        app(steps=STEP, helpers="def clean(x):\n    return x\n"),
        [("app/helpers.py", "return x", "return -x")],
    ),
    Case(
        "helper of helper",
        app(
            steps=STEP,
            helpers="from app import deep\ndef clean(x):\n    return deep.go(x)\n",
            deep="def go(x): return x\n",
        ),
        [("app/deep.py", "return x", "return x * 2")],
    ),
    Case(
        "module alias",
        app(steps="import app.helpers as h\ndef work(x):\n    return h.clean(x)\n", helpers="def clean(x): return x\n"),
        [("app/helpers.py", "return x", "return -x")],
    ),
    Case(
        "dotted module",
        app(
            steps="import app.helpers\ndef work(x):\n    return app.helpers.clean(x)\n",
            helpers="def clean(x): return x\n",
        ),
        [("app/helpers.py", "return x", "return -x")],
    ),
    Case(
        "relative import",
        app(steps="from .helpers import clean as c\ndef work(x): return c(x)\n", helpers="def clean(x): return x\n"),
        [("app/helpers.py", "return x", "return -x")],
    ),
    Case(
        "relative import from a package's own file",
        app(
            steps="from .sub import clean\ndef work(x): return clean(x)\n",
            sub___init="from .deep import clean\n",
            sub___deep="def clean(x): return x\n",
        ),
        [("app/sub/deep.py", "return x", "return -x")],
    ),
    Case(
        "import to another name",
        app(
            steps="from app.helpers import a as f\ndef work(x): return f(x) + g(x)\ng = f\n",
            helpers="def a(x): return x\ndef b(x): return x\n",
        ),
        [("app/steps.py", "import a as f", "import b as f")],
    ),
    Case(
        "re-export",
        {
            **app(steps="from app import clean\ndef work(x): return clean(x)\n", helpers="def clean(x): return x\n"),
            "app/__init__.py": "from app.helpers import clean\n",
        },
        [("app/helpers.py", "return x", "return -x")],
    ),
    Case(
        "re-export that goes elsewhere",
        {
            **app(
                steps="from app import clean\ndef work(x): return clean(x)\n",
                a="def clean(x): return x\n",
                b="def clean(x): return x\n",
            ),
            "app/__init__.py": "from app.a import clean\n",
        },
        [("app/__init__.py", "app.a", "app.b")],
    ),
    Case(
        "star import",
        app(steps="from app.helpers import *\ndef work(x): return clean(x)\n", helpers="def clean(x): return x\n"),
        [("app/helpers.py", "return x", "return -x")],
    ),
    Case(
        "star import twice removed",
        app(
            steps="from app.middle import *\ndef work(x): return clean(x)\n",
            middle="from app.helpers import *\n",
            helpers="def clean(x): return x\n",
        ),
        [("app/helpers.py", "return x", "return -x")],
    ),
    Case(
        "two star imports change places",
        app(
            steps="from app.a import *\nfrom app.b import *\ndef work(x): return clean(x)\n",
            a="def clean(x): return 1\n",
            b="def clean(x): return 2\n",
        ),
        [("app/steps.py", "from app.a import *\nfrom app.b import *", "from app.b import *\nfrom app.a import *")],
    ),
    Case(
        "import in a function",
        app(
            steps="def work(x):\n    from app.helpers import clean\n    return clean(x)\n",
            helpers="def clean(x): return x\n",
        ),
        [("app/helpers.py", "return x", "return -x")],
    ),
    Case(
        "import of a module in a function around",
        app(
            steps="def work(x):\n    from app import helpers\n    def inner(): return helpers.clean(x)\n    return inner()\n",
            helpers="def clean(x): return x\n",
        ),
        [("app/helpers.py", "return x", "return -x")],
    ),
    Case(
        "import by a constant name",
        app(
            steps="import importlib\ndef work(x): return importlib.import_module('app.helpers').clean(x)\n",
            helpers="def clean(x): return x\n",
        ),
        [("app/helpers.py", "return x", "return -x")],
    ),
    Case(
        "import by a computed name",
        app(
            steps="from importlib import import_module as load\ndef work(x): return load('app.' + x).clean(x)\n",
            plug="def clean(x): return x\n",
        ),
        [("app/plug.py", "return x", "return -x")],
    ),
    Case("constant", app(steps="LIMIT = 3\ndef work(x): return x[:LIMIT]\n"), [("app/steps.py", "= 3", "= 4")]),
    Case(
        "annotated constant",
        app(steps="LIMIT: int = 3\ndef work(x): return x[:LIMIT]\n"),
        [("app/steps.py", "= 3", "= 4")],
    ),
    Case(
        "constant of a constant",
        app(steps="from app.c import B\ndef work(x): return x + B\n", c="A = 1\nB = A + 1\n"),
        [("app/c.py", "A = 1", "A = 7")],
    ),
    Case(
        "unpacked constants", app(steps="A, B = 1, 2\ndef work(x): return x + B\n"), [("app/steps.py", "1, 2", "1, 3")]
    ),
    Case(
        "constant bound twice",
        app(steps="A = 1\nA = 2\ndef work(x): return A\n"),
        [("app/steps.py", "A = 1\nA = 2", "A = 2\nA = 1")],
    ),
    Case(
        "constant enlarged",
        app(steps="A = [1]\nA.append(2)\ndef work(x): return A\n"),
        [("app/steps.py", "append(2)", "append(3)")],
    ),
    Case(
        "constant enlarged in place",
        app(steps="A = 1\nA += 2\ndef work(x): return A\n"),
        [("app/steps.py", "+= 2", "-= 2")],
    ),
    Case(
        "order of a value and an effect",
        app(steps="A = []\nA.append(1)\nB = list(A)\ndef work(x): return B\n"),
        [("app/steps.py", "A.append(1)\nB = list(A)", "B = list(A)\nA.append(1)")],
    ),
    Case("default", app(steps="def work(x, n=3): return x * n\n"), [("app/steps.py", "n=3", "n=4")]),
    Case(
        "default from a name",
        app(steps="N = 3\ndef work(x, n=N): return x * n\n"),
        [("app/steps.py", "N = 3", "N = 4")],
    ),
    Case("keyword default", app(steps="def work(x, *, n=3): return x * n\n"), [("app/steps.py", "n=3", "n=4")]),
    Case(
        "decorator",
        app(
            steps="from app.d import twice\n@twice\ndef work(x): return x\n",
            d="def twice(f):\n    return lambda x: f(f(x))\n",
        ),
        [("app/d.py", "f(f(x))", "f(x)")],
    ),
    Case(
        "decorator that wraps",
        app(
            steps="from app.d import twice\n@twice(2)\ndef work(x): return x\n",
            d="import functools\ndef twice(n):\n    def deco(f):\n        @functools.wraps(f)\n        def inner(x): return f(x) * n\n        return inner\n    return deco\n",
        ),
        [
            ("app/steps.py", "return x", "return -x"),
            ("app/d.py", "* n", "+ n"),
            ("app/steps.py", "twice(2)", "twice(3)"),
        ],
    ),
    Case(
        "closure",
        app(steps="def make(n):\n    def inner(x): return x * n\n    return inner\nwork = make(3)\n"),
        [("app/steps.py", "make(3)", "make(4)")],
    ),
    Case(
        "closure over a function",
        app(
            steps="from app.h import a\ndef make(f):\n    def inner(x): return f(x)\n    return inner\nwork = make(a)\n",
            h="def a(x): return x\n",
        ),
        [("app/h.py", "return x", "return -x")],
    ),
    Case(
        "closure over a table of functions",
        app(
            steps="from app.h import a\ndef make(fs):\n    def inner(x): return fs['a'](x)\n    return inner\nwork = make({'a': a})\n",
            h="def a(x): return x\n",
        ),
        [("app/h.py", "return x", "return -x")],
    ),
    Case(
        "default made in a factory",
        app(steps="def make(n):\n    def inner(x, k=n): return x * k\n    return inner\nwork = make(3)\n"),
        [("app/steps.py", "make(3)", "make(4)")],
    ),
    Case(
        "partial",
        app(
            steps="from functools import partial\nfrom app.h import a\nwork = partial(a, n=3)\n",
            h="def a(x, n): return x * n\n",
        ),
        [("app/steps.py", "n=3", "n=4"), ("app/h.py", "x * n", "x + n")],
    ),
    Case(
        "partial in the body",
        app(
            steps="from functools import partial\nfrom app.h import a\nB = partial(a, n=3)\ndef work(x): return B(x)\n",
            h="def a(x, n): return x * n\n",
        ),
        [("app/steps.py", "n=3", "n=4"), ("app/h.py", "x * n", "x + n")],
    ),
    Case(
        "dispatch table",
        app(
            steps="from app.h import a\nTABLE = {'a': a, 'b': lambda x: x}\ndef work(x): return TABLE[x](x)\n",
            h="def a(x): return x\n",
        ),
        [("app/h.py", "return x", "return -x"), ("app/steps.py", "lambda x: x", "lambda x: -x")],
    ),
    Case("lambda", app(steps="F = lambda x: x + 1\ndef work(x): return F(x)\n"), [("app/steps.py", "+ 1", "+ 2")]),
    Case(
        "comprehension",
        app(steps="from app.h import a\ndef work(x): return [a(i) for i in x]\n", h="def a(x): return x\n"),
        [("app/h.py", "return x", "return -x")],
    ),
    Case(
        "outer iterable of a comprehension",
        app(steps="ITEMS = [1]\ndef work(x): return [ITEMS for ITEMS in ITEMS]\n"),
        [("app/steps.py", "[1]", "[2]")],
    ),
    Case(
        "name used and bound by a comprehension",
        app(
            steps="from app.h import a\ndef work(x):\n    b = [a for a in x]\n    return a(b)\n",
            h="def a(x): return x\n",
        ),
        [("app/h.py", "return x", "return -x")],
    ),
    Case(
        "global that a function sets",
        app(
            steps="STATE = 1\ndef change():\n    global STATE\n    STATE = 2\ndef work(x):\n    change()\n    return STATE\n"
        ),
        [("app/steps.py", "STATE = 2", "STATE = 3")],
    ),
    Case(
        "global only a function sets",
        app(steps="def change():\n    global STATE\n    STATE = 2\nchange()\ndef work(x):\n    return STATE\n"),
        [("app/steps.py", "STATE = 2", "STATE = 3")],
    ),
    Case(
        "class",
        app(steps="class A:\n    def go(self): return 1\ndef work(x): return A().go()\n"),
        [("app/steps.py", "return 1", "return 2")],
    ),
    Case(
        "class attribute",
        app(steps="class A:\n    rate = 1\ndef work(x): return A.rate\n"),
        [("app/steps.py", "rate = 1", "rate = 2")],
    ),
    Case(
        "base class",
        app(
            steps="from app.b import Base\nclass A(Base):\n    pass\ndef work(x): return A().go()\n",
            b="class Base:\n    def go(self): return 1\n",
        ),
        [("app/b.py", "return 1", "return 2")],
    ),
    Case(
        "metaclass",
        app(
            steps="from app.b import Meta\nclass A(metaclass=Meta):\n    pass\ndef work(x): return A.rate\n",
            b="class Meta(type):\n    rate = 1\n",
        ),
        [("app/b.py", "rate = 1", "rate = 2")],
    ),
    Case(
        "operator method",
        app(
            steps="from app.b import V\ndef work(x): return V(x) + 1\n",
            b="class V:\n    def __init__(self, x): self.x = x\n    def __add__(self, o): return self.x + o\n",
        ),
        [("app/b.py", "self.x + o", "self.x - o")],
    ),
    Case(
        "property",
        app(
            steps="from app.b import V\ndef work(x): return V().size\n",
            b="class V:\n    @property\n    def size(self): return 1\n",
        ),
        [("app/b.py", "return 1", "return 2")],
    ),
    Case(
        "method of an unknown receiver",
        app(steps="from app import b\ndef work(x): return x.size()\n", b="class V:\n    def size(self): return 1\n"),
        [("app/b.py", "return 1", "return 2")],
    ),
    Case(
        "helper of a method of an unknown receiver",
        app(
            steps="from app import b\ndef work(x): return x.size()\n",
            b="def one(): return 1\nclass V:\n    def size(self): return one()\n",
        ),
        [("app/b.py", "return 1", "return 2")],
    ),
    Case(
        "method found by a constant name",
        app(
            steps="from app import b\ndef work(x): return getattr(x, 'size')()\n",
            b="class V:\n    def size(self): return 1\n",
        ),
        [("app/b.py", "return 1", "return 2")],
    ),
    Case(
        "method found by methodcaller",
        app(
            steps="from operator import methodcaller\nfrom app import b\ndef work(x): return methodcaller('size')(x)\n",
            b="class V:\n    def size(self): return 1\n",
        ),
        [("app/b.py", "return 1", "return 2")],
    ),
    Case(
        "method found by a computed name",
        app(
            steps="from app import b\ndef work(x, name): return getattr(x, name)()\n",
            b="class V:\n    def size(self): return 1\n",
        ),
        [("app/b.py", "return 1", "return 2")],
    ),
    Case(
        "method found by a pattern",
        app(
            steps="from app import b\ndef work(x, name): return getattr(x, f'on_{name}')()\n",
            b="class V:\n    def on_size(self): return 1\n",
        ),
        [("app/b.py", "return 1", "return 2")],
    ),
    Case(
        "function found in a module by a computed name",
        app(steps="from app import b\ndef work(x, name): return getattr(b, name)()\n", b="def size(): return 1\n"),
        [("app/b.py", "return 1", "return 2")],
    ),
    Case(
        "function found in a module by a pattern",
        app(
            steps="from app import b\ndef work(x, name): return getattr(b, 'on_' + name)()\n",
            b="def on_size(): return 1\n",
        ),
        [("app/b.py", "return 1", "return 2")],
    ),
    Case(
        "function of a module in a list",
        app(
            steps="from app import b, c\ndef work(x): return [m.size() for m in (b, c)]\n",
            b="def size(): return 1\n",
            c="def size(): return 5\n",
        ),
        [("app/c.py", "return 5", "return 2")],
    ),
    Case(
        "module bound to a local name",
        app(steps="from app import b\ndef work(x):\n    m = b\n    return m.size()\n", b="def size(): return 1\n"),
        [("app/b.py", "return 1", "return 2")],
    ),
    Case(
        "module's namespace",
        app(steps="from app import b\ndef work(x): return vars(b)[x]()\n", b="def size(): return 1\n"),
        [("app/b.py", "return 1", "return 2")],
    ),
    Case(
        "module's dict",
        app(steps="from app import b\ndef work(x): return b.__dict__[x]()\n", b="def size(): return 1\n"),
        [("app/b.py", "return 1", "return 2")],
    ),
    Case(
        "globals",
        app(steps="def size(): return 1\ndef work(x): return globals()[x]()\n"),
        [("app/steps.py", "return 1", "return 2")],
    ),
    Case(
        "eval",
        app(steps="def size(): return 1\ndef work(x): return eval(x)\n"),
        [("app/steps.py", "return 1", "return 2")],
    ),
    Case(
        "exec of imported names",
        app(steps="from app.b import size\ndef work(x): exec(x)\n", b="def size(): return 1\n"),
        [("app/b.py", "return 1", "return 2")],
    ),
    Case(
        "unknown name counts the module",
        app(steps="def size(): return 1\ndef work(x): return mystery(x)\n"),
        [("app/steps.py", "return 1", "return 2")],
    ),
    Case(
        "module getattr",
        app(steps="from app import b\ndef work(x): return b.size\n", b="def __getattr__(name): return 1\n"),
        [("app/b.py", "return 1", "return 2")],
    ),
    Case(
        "subclasses",
        app(
            steps="from app.b import Base\nfrom app import c\ndef work(x): return [k.size() for k in Base.__subclasses__()]\n",
            b="class Base: pass\n",
            c="from app.b import Base\nclass C(Base):\n    def __call__(self): return 1\n",
        ),
        [("app/c.py", "return 1", "return 2")],
    ),
    Case(
        "registry",
        app(
            steps="from app.r import REGISTRY\nfrom app import plug\ndef work(x): return REGISTRY['a'](x)\n",
            r="REGISTRY = {}\ndef register(f):\n    REGISTRY[f.__name__] = f\n    return f\n",
            plug="from app.r import register\n@register\ndef a(x): return x\n",
        ),
        [("app/plug.py", "return x", "return -x"), ("app/r.py", "f.__name__", "f.__name__.upper()")],
    ),
    Case(
        "helper of a registered function",
        app(
            steps="from app.r import REGISTRY\nfrom app import plug\ndef work(x): return REGISTRY['a'](x)\n",
            r="REGISTRY = {}\ndef register(f):\n    REGISTRY[f.__name__] = f\n    return f\n",
            plug="from app.r import register\ndef h(x): return x\n@register\ndef a(x): return h(x)\n",
        ),
        [("app/plug.py", "return x", "return -x")],
    ),
    Case(
        "registration by a call",
        app(
            steps="from app.r import REGISTRY\nimport app.plug\ndef work(x): return REGISTRY['a'](x)\n",
            r="REGISTRY = {}\n",
            plug="from app.r import REGISTRY\ndef a(x): return x\nREGISTRY['a'] = a\n",
        ),
        [("app/plug.py", "return x", "return -x")],
    ),
    Case(
        "order of imports that register",
        app(
            steps="import app.p\nimport app.q\nfrom app.r import R\ndef work(x): return R\n",
            r="R = []\n",
            p="from app.r import R\nR.append(1)\n",
            q="from app.r import R\nR.append(2)\n",
        ),
        [("app/steps.py", "import app.p\nimport app.q", "import app.q\nimport app.p")],
    ),
    Case(
        "singledispatch",
        app(
            steps="from functools import singledispatch\n@singledispatch\ndef show(x): return 0\n@show.register\ndef _(x: int): return 1\n@show.register\ndef _(x: str): return 2\ndef work(x): return show(x)\n"
        ),
        [
            ("app/steps.py", "return 2", "return 3"),
            ("app/steps.py", "x: int", "x: bool"),
            ("app/steps.py", "return 0", "return 9"),
        ],
    ),
    Case(
        "singledispatch registered elsewhere",
        app(
            steps="from app.s import show\nimport app.plug\ndef work(x): return show(x)\n",
            s="from functools import singledispatch\n@singledispatch\ndef show(x): return 0\n",
            plug="from app.s import show\ndef h(x): return 1\nshow.register(int, h)\n",
        ),
        [("app/plug.py", "return 1", "return 3")],
    ),
    Case(
        "init_subclass",
        app(
            steps="from app.b import Base\nimport app.c\ndef work(x): return Base.known['C']().size()\n",
            b="class Base:\n    known = {}\n    def __init_subclass__(cls): Base.known[cls.__name__] = cls\n",
            c="from app.b import Base\nclass C(Base):\n    def __init__(self): self.n = 1\n",
        ),
        [("app/c.py", "self.n = 1", "self.n = 2")],
    ),
    Case(
        "init_subclass two bases up",
        app(
            steps="from app.b import Base\nimport app.c\ndef work(x): return Base.known['C']()()\n",
            b="class Base:\n    known = {}\n    def __init_subclass__(cls): Base.known[cls.__name__] = cls\nclass Middle(Base): pass\n",
            c="from app import b\nclass C(b.Middle):\n    def __call__(self): return 1\n",
        ),
        [("app/c.py", "return 1", "return 2")],
    ),
    Case(
        "metaclass that registers",
        app(
            steps="from app.b import KNOWN\nimport app.c\ndef work(x): return KNOWN['C']()()\n",
            b="KNOWN = {}\nclass Meta(type):\n    def __init__(cls, name, bases, space): KNOWN[name] = cls\nclass Base(metaclass=Meta): pass\n",
            c="from app.b import Base\nclass C(Base):\n    def __call__(self): return 1\n",
        ),
        [("app/c.py", "return 1", "return 2")],
    ),
    Case(
        "monkeypatch",
        app(
            steps="import app.patch\nfrom app.b import size\nfrom app import b\ndef work(x): return b.size()\n",
            b="def size(): return 1\n",
            patch="from app import b\nb.size = lambda: 2\n",
        ),
        [("app/patch.py", "lambda: 2", "lambda: 3")],
    ),
    Case(
        "monkeypatch of a class",
        app(
            steps="import app.patch\nfrom app.b import V\ndef work(x): return V().size()\n",
            b="class V:\n    def size(self): return 1\n",
            patch="from app.b import V\ndef two(self): return 2\nsetattr(V, 'size', two)\n",
        ),
        [("app/patch.py", "return 2", "return 3")],
    ),
    Case(
        "package's own code",
        {**app(steps="def work(x): return x\n"), "app/__init__.py": "import sys\nsys.setswitchinterval(0.005)\n"},
        [("app/__init__.py", "0.005", "0.006")],
    ),
    Case(
        "conditional definition",
        app(
            steps="import sys\nif sys.platform == 'linux':\n    def clean(x): return 1\nelse:\n    def clean(x): return 2\ndef work(x): return clean(x)\n"
        ),
        [("app/steps.py", "return 1", "return 3"), ("app/steps.py", "== 'linux'", "!= 'linux'")],
    ),
    Case(
        "fallback import",
        app(
            steps="try:\n    from app.nothing import clean\nexcept ImportError:\n    from app.h import clean\ndef work(x): return clean(x)\n",
            h="def clean(x): return 1\n",
        ),
        [("app/h.py", "return 1", "return 3")],
    ),
    Case(
        "loop at the top",
        app(steps="T = {}\nfor name in ('a', 'b'):\n    T[name] = len(name)\ndef work(x): return T\n"),
        [("app/steps.py", "'b'", "'c'")],
    ),
    Case(
        "annotation of the step",
        app(steps="def work(x: int) -> int: return x\n"),
        [("app/steps.py", "x: int", "x: float")],
    ),
    Case(
        "declared class",
        app(steps="from app.b import Row\ndef work(x: Row) -> int: return 1\n", b="class Row:\n    a: int\n"),
        [("app/b.py", "a: int", "a: float")],
    ),
    Case(
        "declared class in a string",
        app(
            steps="from __future__ import annotations\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from app.b import Row\ndef work(x: 'list[Row]') -> int: return 1\n",
            b="class Row:\n    a: int\n",
        ),
        [("app/b.py", "a: int", "a: float")],
    ),
    Case(
        "subclass of a declared class",
        app(
            steps="from app.b import Base\nimport app.c\ndef work(x: Base) -> int: return x()\n",
            b="class Base: pass\n",
            c="from app.b import Base\nclass C(Base):\n    def __call__(self): return 1\n",
        ),
        [("app/c.py", "return 1", "return 2")],
    ),
    Case(
        "dataclass field",
        app(
            steps="from app.b import Row\ndef work(x): return Row()\n",
            b="from dataclasses import dataclass\n@dataclass\nclass Row:\n    a: int = 1\n",
        ),
        [("app/b.py", "= 1", "= 2"), ("app/b.py", "@dataclass", "@dataclass(frozen=True)")],
    ),
    Case(
        "enum",
        app(
            steps="from app.b import Kind\ndef work(x): return Kind.A.value\n",
            b="from enum import Enum\nclass Kind(Enum):\n    A = 1\n",
        ),
        [("app/b.py", "A = 1", "A = 2")],
    ),
    Case(
        "named tuple",
        app(
            steps="from app.b import P\ndef work(x): return P()\n",
            b="from typing import NamedTuple\nclass P(NamedTuple):\n    a: int = 1\n",
        ),
        [("app/b.py", "= 1", "= 2")],
    ),
    Case(
        "match on a class",
        app(
            steps="from app.b import P\ndef work(x):\n    match x:\n        case P(a=1): return 1\n    return 2\n",
            b="class P:\n    __match_args__ = ('a',)\n",
        ),
        [("app/b.py", "('a',)", "('b',)")],
    ),
    Case(
        "walrus",
        app(steps="LIMIT = 1\ndef work(x):\n    if (n := LIMIT) > 2: return n\n"),
        [("app/steps.py", "LIMIT = 1", "LIMIT = 3")],
    ),
    Case(
        "class body reads the module's name first",
        app(steps="rate = 1\nclass A:\n    rate = rate\ndef work(x): return A.rate\n"),
        [("app/steps.py", "rate = 1", "rate = 2")],
    ),
    Case(
        "docstring where it is read",
        app(steps="def work(x):\n    'one'\n    return work.__doc__\n"),
        [("app/steps.py", "'one'", "'two'")],
    ),
    Case(
        "lines where the source is read",
        app(steps="import inspect\ndef work(x): return inspect.getsource(work)\n"),
        [("app/steps.py", "def work", "# note\ndef work")],
    ),
    Case(
        "pickle may load any class",
        app(
            steps="import pickle\ndef work(x): return pickle.loads(x)\n", lost="class A:\n    def go(self): return 1\n"
        ),
        [("app/lost.py", "return 1", "return 2")],
    ),
    Case(
        "bound method",
        app(
            steps="class A:\n    def __init__(self, n): self.n = n\n    def go(self, x): return x * self.n\nwork = A(3).go\n"
        ),
        [("app/steps.py", "A(3)", "A(4)"), ("app/steps.py", "x * self.n", "x + self.n")],
    ),
    Case(
        "callable object",
        app(
            steps="from app.b import A\nwork = A(3)\n",
            b="class A:\n    def __init__(self, n): self.n = n\n    def __call__(self, x): return x * self.n\n",
        ),
        [("app/steps.py", "A(3)", "A(4)"), ("app/b.py", "x * self.n", "x + self.n")],
    ),
    Case(
        "callable object with slots",
        app(
            steps="from app.b import A\nwork = A(3)\n",
            b="class A:\n    __slots__ = ('n',)\n    def __init__(self, n): self.n = n\n    def __call__(self, x): return x * self.n\n",
        ),
        [("app/steps.py", "A(3)", "A(4)")],
    ),
    Case("lambda as the function", app(steps="work = lambda x: x + 1\n"), [("app/steps.py", "+ 1", "+ 2")]),
    Case(
        "method as the function",
        app(steps="class A:\n    def go(self, x): return x + 1\n"),
        [("app/steps.py", "+ 1", "+ 2")],
        "app.steps:A.go",
    ),
    Case(
        "class as the function",
        app(steps="class A:\n    def go(self, x): return x + 1\n"),
        [("app/steps.py", "+ 1", "+ 2")],
        "app.steps:A",
    ),
    Case(
        "namespace package",
        {
            "space/steps.py": "from space.h import clean\ndef work(x): return clean(x)\n",
            "space/h.py": "def clean(x): return 1\n",
        },
        [("space/h.py", "return 1", "return 2")],
        "space.steps:work",
    ),
    Case(
        "flat module",
        {
            "steps.py": "from helpers import clean\ndef work(x): return clean(x)\n",
            "helpers.py": "def clean(x): return 1\n",
        },
        [("helpers.py", "return 1", "return 2")],
        "steps:work",
    ),
    Case(
        "circular imports",
        app(
            steps="import app.b\ndef one(): return 1\ndef work(x): return app.b.two()\n",
            b="import app.steps\ndef two(): return app.steps.one()\n",
        ),
        [("app/steps.py", "return 1", "return 2")],
    ),
    Case(
        "async step",
        app(
            steps="from app.h import clean\nasync def work(x): return await clean(x)\n",
            h="async def clean(x): return 1\n",
        ),
        [("app/h.py", "return 1", "return 2")],
    ),
    Case(
        "nested function's default",
        app(steps="N = 1\ndef work(x):\n    def inner(n=N): return n\n    return inner()\n"),
        [("app/steps.py", "N = 1", "N = 2")],
    ),
    Case(
        "future annotations",
        app(steps="from __future__ import annotations\ndef work(x: int): return work.__annotations__\n"),
        [("app/steps.py", "from __future__ import annotations\n", "")],
    ),
    Case(
        "data file by its name",
        {
            **app(
                steps="from pathlib import Path\ndef work(x): return (Path(__file__).parent / 'data' / 'rates.csv').read_text()\n"
            ),
            "app/data/rates.csv": "1",
        },
        [("app/data/rates.csv", "1", "2")],
    ),
    Case(
        "data file from the root",
        {**app(steps="def work(x): return open('data/rates.csv')\n"), "data/rates.csv": "1"},
        [("data/rates.csv", "1", "2")],
    ),
    Case(
        "data files by a pattern",
        {
            **app(steps="def work(x): return scan('data/*.csv')\nfrom os import scandir as scan\n"),
            "data/rates.csv": "1",
        },
        [("data/rates.csv", "1", "2")],
    ),
    Case(
        "data folder",
        {
            **app(steps="from os import scandir as scan\ndef work(x): return scan('data/parts')\n"),
            "data/parts/a.csv": "1",
        },
        [("data/parts/a.csv", "1", "2")],
    ),
    Case(
        "data file that a helper names",
        {
            **app(
                steps="from app.h import clean\ndef work(x): return clean(x)\n",
                h="RATES = 'rates.csv'\ndef clean(x): return open(RATES)\n",
            ),
            "app/rates.csv": "1",
        },
        [("app/rates.csv", "1", "2")],
    ),
    Case(
        "script by its name",
        {
            **app(steps="import subprocess\ndef work(x): return subprocess.run(['python', 'tools/go.py'])\n"),
            "tools/go.py": "print(1)",
        },
        [("tools/go.py", "print(1)", "print(2)")],
    ),
    Case(
        "a star that comes later",
        app(
            steps="def clean(x): return 1\nfrom app.h import *\ndef work(x): return clean(x)\n",
            h="def clean(x): return 2\n",
        ),
        [
            ("app/h.py", "return 2", "return 3"),
            (
                "app/steps.py",
                "def clean(x): return 1\nfrom app.h import *\n",
                "from app.h import *\ndef clean(x): return 1\n",
            ),
        ],
    ),
    Case(
        "a builtin that calls what it is given",
        app(
            steps="SEEN = []\ndef note(x):\n    SEEN.append(x)\n    return x\nORDER = sorted([2, 1], key=note)\ndef work(x): return SEEN\n"
        ),
        [("app/steps.py", "[2, 1]", "[2, 3]")],
    ),
    Case(
        "a class made by type",
        app(
            steps="class Base:\n    known = []\n    def __init_subclass__(cls): Base.known.append(cls.__name__)\nA = type('A', (Base,), {})\ndef work(x): return Base.known\n"
        ),
        [("app/steps.py", "'A', (", "'B', (")],
    ),
    Case(
        "a file that is read and written",
        {
            **app(
                steps="def work(x):\n    scan('out.csv')\n    open('out.csv', 'w')\nfrom os import scandir as scan\n"
            ),
            "out.csv": "1",
        },
        [("out.csv", "1", "2")],
    ),
    Case(
        "function named by a text",
        app(
            steps="def work(x):\n    return instantiate('app.h.clean', x)\nfrom os import path as instantiate\n",
            h="def clean(x): return 1\n",
        ),
        [("app/h.py", "return 1", "return 2")],
    ),
    Case(
        "function named by a text with a colon",
        {"steps.py": "def work(x):\n    return len('h:clean')\n", "h.py": "def clean(x): return 1\n"},
        [("h.py", "return 1", "return 2")],
        "steps:work",
    ),
    Case(
        "module named by a text",
        app(
            steps="import subprocess\ndef work(x):\n    subprocess.run(['python', '-m', 'app.h'])\n",
            h="def clean(x): return 1\nif __name__ == '__main__':\n    print(clean(2))\n",
        ),
        [("app/h.py", "return 1", "return 2"), ("app/h.py", "clean(2)", "clean(3)")],
    ),
    Case(
        "a name that a text hopes for and code needs",
        app(steps="def clean(x): return 1\ndef work(x: 'mystery'): return mystery\n"),
        [("app/steps.py", "return 1", "return 2")],
    ),
    Case(
        "method of the own class by a computed name",
        app(
            steps="from app.b import V\ndef work(x): return x.go(x)\n",
            b="class V:\n    def go(self, name): return getattr(self, name)()\n    def size(self): return 1\n",
        ),
        [("app/b.py", "return 1", "return 2")],
    ),
    Case(
        "method of an heir by a computed name",
        app(
            steps="from app import c\ndef work(x): return x.go(x)\n",
            b="class V:\n    def go(self, name): return [getattr(self, n)() for n in name]\n",
            c="from app.b import V\nclass W(V):\n    def size(self): return 1\n",
        ),
        [("app/c.py", "return 1", "return 2")],
    ),
    Case(
        "computed name on what only looks like the own object",
        app(
            steps="from app import b\ndef work(x): return x.go(x)\n",
            b="class V:\n    def go(self, name):\n        self = name\n        return getattr(self, name)()\nclass W:\n    def size(self): return 1\n",
        ),
        [("app/b.py", "return 1", "return 2")],
    ),
    Case(
        "methods by names of a loop",
        app(
            steps="from app import b\ndef work(x):\n    for name in ('size', 'go'): getattr(x, name)()\n",
            b="class V:\n    def size(self): return 1\n",
        ),
        [("app/b.py", "return 1", "return 2"), ("app/steps.py", "'go'", "'gone'")],
    ),
    Case(
        "methods by a name that a loop and something else bind",
        app(
            steps="from app import b\ndef work(x):\n    for name in ('go',):\n        name = x\n        getattr(x, name)()\n",
            b="class V:\n    def size(self): return 1\n",
        ),
        [("app/b.py", "return 1", "return 2")],
    ),
    Case(
        "what a star brings",
        app(
            steps="from app.h import *\ndef work(x): return clean(x)\n",
            h="__all__ = ['clean']\ndef clean(x): return 1\n",
        ),
        [("app/h.py", "['clean']", "('clean',)")],
    ),
    Case(
        "a name that is put into a module by text",
        app(
            steps="import app.h\ndef work(x): return app.h.clean(x)\n",
            h="def hidden(x): return 1\nglobals()['clean'] = hidden\n",
        ),
        [("app/h.py", "return 1", "return 2"), ("app/h.py", "'clean'", "'other'")],
    ),
    Case(
        "a registry that a made value enters",
        app(
            steps="from app.r import SEEN\nimport app.p\ndef work(x): return SEEN\n",
            r="SEEN = []\ndef enter(x):\n    SEEN.append(x)\n    return x\n",
            p="from app.r import enter\nFIRST = enter(1)\n",
        ),
        [("app/p.py", "enter(1)", "enter(2)")],
    ),
    Case(
        "a class whose making registers",
        app(
            steps="from app.r import SEEN\nimport app.p\ndef work(x): return SEEN\n",
            r="SEEN = []\nclass Entry:\n    def __init__(self, x): SEEN.append(x)\nclass More(Entry): pass\n",
            p="from app.r import More\nFIRST = More(1)\n",
        ),
        [("app/p.py", "More(1)", "More(2)")],
    ),
    Case(
        "a dataclass whose making registers",
        app(
            steps="from app.r import SEEN\nimport app.p\ndef work(x): return SEEN\n",
            r="from dataclasses import dataclass, field\nSEEN = []\ndef note():\n    SEEN.append(1)\n    return 1\n@dataclass\nclass Entry:\n    x: int = field(default_factory=note)\n",
            p="from app.r import Entry\nFIRST = Entry()\n",
        ),
        [("app/p.py", "FIRST = Entry()\n", "")],
    ),
    Case(
        "decorators of every make that register",
        app(
            steps="from app.r import SEEN\nimport app.p\ndef work(x): return SEEN\n",
            r="SEEN = []\ndef plain(f):\n    SEEN.append(f)\n    return f\ndef made(n):\n    def deco(f):\n        SEEN.append(f)\n        return f\n    return deco\nclass Kept:\n    def __init__(self, f): SEEN.append(f)\n",
            p="from app.r import Kept, made, plain\n@plain\ndef a(): return 1\n@made(1)\ndef b(): return 11\n@Kept\ndef c(): return 111\n",
        ),
        [
            ("app/p.py", "return 1\n", "return 2\n"),
            ("app/p.py", "return 11\n", "return 12\n"),
            ("app/p.py", "111", "112"),
        ],
    ),
    Case(
        "functions that reach out in odd ways",
        app(
            steps="from app.r import A\nimport app.p\ndef work(x): return A\n",
            r="A = {}\ndef one(t): t['x'] = 1\ndef two(t): t.update(x=1)\ndef three(f): f()\ndef four():\n    global A\n    A = {}\ndef five(t): t |= {'y': 1}\ndef six(t):\n    for x in t: x.clear()\ndef seven(t):\n    u = t\n    u['x'] = 1\ndef eight(t):\n    for t['z'] in [1]: pass\n",
            p="from app.r import *\nfrom app.r import A, one, two, three, four, five, six, seven, eight\nV1 = one(A)\nV2 = two(A)\nV3 = three(A.clear)\nV4 = four()\nV5 = five(A)\nV6 = six([A])\nV7 = seven(A)\nV8 = eight(A)\n",
        ),
        [
            ("app/p.py", f"V{n} = {call}\n", "")
            for n, call in enumerate(
                ("one(A)", "two(A)", "three(A.clear)", "four()", "five(A)", "six([A])", "seven(A)", "eight(A)"), 1
            )
        ],
    ),
    Case(
        "order of classes that register",
        app(
            steps="from app.b import Base\nimport app.c\ndef work(x): return Base.known\n",
            b="class Base:\n    known = []\n    def __init_subclass__(cls): Base.known.append(cls.__name__)\n",
            c="from app.b import Base\nclass C(Base): pass\nclass D(Base): pass\n",
        ),
        [("app/c.py", "class C(Base): pass\nclass D(Base): pass", "class D(Base): pass\nclass C(Base): pass")],
    ),
    Case(
        "a function that defines one that registers",
        app(
            steps="from app.r import SEEN\nimport app.p\ndef work(x): return SEEN\n",
            r="SEEN = []\ndef note(f):\n    SEEN.append(f)\n    return f\ndef outer(x):\n    @note\n    def inner(): return x\n    return inner\ndef given(note):\n    @note\n    def inner(): return 1\n    return inner\n",
            p="from app.r import given, note, outer\nFIRST = outer(1)\nSECOND = given(note)\n",
        ),
        [("app/p.py", "outer(1)", "outer(2)"), ("app/p.py", "SECOND = given(note)\n", "")],
    ),
]

NEUTRAL = [
    Case("comment", app(steps="def work(x):\n    return x\n"), [("app/steps.py", "return x", "return x  # done")]),
    Case(
        "docstrings",
        app(steps="'''a'''\ndef work(x):\n    '''a'''\n    return x\n"),
        [("app/steps.py", "'''a'''", "'''b'''"), ("app/steps.py", "    '''a'''\n", "")],
    ),
    Case(
        "layout",
        app(steps="def work(x):\n    return f(x, 'a')\ndef f(a, b): return a\n"),
        [("app/steps.py", "f(x, 'a')", 'f(\n        x,\n        "a",\n    )')],
    ),
    Case("blank lines", app(steps="def work(x):\n    return x\n"), [("app/steps.py", "def work", "\n\n\n\ndef work")]),
    Case("brackets", app(steps="def work(x):\n    return x + 1\n"), [("app/steps.py", "x + 1", "(x + 1)")]),
    Case("split text", app(steps="def work(x):\n    return 'ab'\n"), [("app/steps.py", "'ab'", "'a' 'b'")]),
    Case(
        "elif",
        app(steps="def work(x):\n    if x: return 1\n    elif not x: return 2\n"),
        [("app/steps.py", "elif not x: return 2", "else:\n        if not x: return 2")],
    ),
    Case(
        "local annotation",
        app(steps="def work(x):\n    y: int = x\n    return y\n"),
        [("app/steps.py", "y: int = x", "y: float = x")],
    ),
    Case(
        "unrelated function",
        app(steps="def work(x):\n    return x\ndef other(x): return 1\n"),
        [("app/steps.py", "return 1", "return 2")],
    ),
    Case(
        "new unrelated function",
        app(steps="def work(x):\n    return x\n"),
        [("app/steps.py", "def work", "def other(x): return 1\ndef work")],
    ),
    Case(
        "unrelated function of a helper's module",
        app(steps=STEP, helpers="def clean(x): return x\ndef other(x): return 1\n"),
        [("app/helpers.py", "return 1", "return 2")],
    ),
    Case(
        "a local variable named as a function",
        app(steps="def clean(x): return 1\ndef work(x):\n    clean = x\n    return clean\n"),
        [("app/steps.py", "return 1", "return 2")],
    ),
    Case(
        "a parameter named as a function",
        app(steps="def clean(x): return 1\ndef work(clean): return clean\n"),
        [("app/steps.py", "return 1", "return 2")],
    ),
    Case(
        "unrelated constant",
        app(steps="A = 1\ndef work(x): return x\n"),
        [("app/steps.py", "A = 1", "A = 2"), ("app/steps.py", "A = 1", "A = (1, {'a': [2]})")],
    ),
    Case(
        "unrelated class",
        app(steps="class A:\n    def never(self): return 1\ndef work(x): return x\n"),
        [("app/steps.py", "return 1", "return 2")],
    ),
    Case(
        "unrelated dataclass",
        app(steps="from dataclasses import dataclass\n@dataclass\nclass A:\n    n: int = 1\ndef work(x): return x\n"),
        [("app/steps.py", "n: int = 1", "n: int = 2")],
    ),
    Case(
        "another method",
        app(
            steps="from app import b\ndef work(x): return x.size()\n",
            b="class V:\n    def size(self): return 1\n    def never(self): return 5\n",
        ),
        [("app/b.py", "return 5", "return 2")],
    ),
    Case(
        "a foreign module's function of the same name",
        app(
            steps="import math\nfrom app import b\ndef work(x): return math.floor(x)\n",
            b="class V:\n    def floor(self): return 1\n",
        ),
        [("app/b.py", "return 1", "return 2")],
    ),
    Case(
        "another module",
        app(steps="def work(x): return x\n", other="def clean(x): return 1\nprint\n"),
        [("app/other.py", "return 1", "return 2")],
    ),
    Case(
        "main block",
        app(steps="def work(x): return x\nif __name__ == '__main__':\n    print(work(1))\n"),
        [("app/steps.py", "work(1)", "work(2)")],
    ),
    Case(
        "order of functions",
        app(steps="def work(x): return x\ndef other(x): return 1\n"),
        [
            (
                "app/steps.py",
                "def work(x): return x\ndef other(x): return 1\n",
                "def other(x): return 1\ndef work(x): return x\n",
            )
        ],
    ),
    Case(
        "order of imports",
        app(
            steps="import json\nimport math\nfrom app import b, c\ndef work(x): return b.go(json, math, c)\n",
            b="def go(*x): return x\n",
            c="X = 1\n",
        ),
        [("app/steps.py", "import json\nimport math\nfrom app import b, c", "from app import c, b\nimport math, json")],
    ),
    Case(
        "unused standard import",
        app(steps="def work(x): return x\n"),
        [("app/steps.py", "def work", "import json\ndef work")],
    ),
    Case(
        "headrace's own decorator",
        app(steps="from headrace import step\n@step\ndef work(x): return x\n"),
        [("app/steps.py", "@step", "@step(retries=3)"), ("app/steps.py", "@step", "")],
    ),
    Case(
        "another step",
        app(
            steps="from headrace import step, pipeline\n@step\ndef work(x): return x\n@step(retries=2)\ndef other(x): return 1\n@pipeline\ndef flow(): return other(work(1))\n"
        ),
        [("app/steps.py", "return 1", "return 2"), ("app/steps.py", "other(work(1))", "work(work(1))")],
    ),
    Case(
        "type-checking imports",
        app(
            steps="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from decimal import Decimal\ndef work(x): return x\n"
        ),
        [("app/steps.py", "from decimal import Decimal", "from fractions import Fraction")],
    ),
    Case(
        "data file of nobody",
        {**app(steps="def work(x): return 'a'\n"), "data/rates.csv": "1"},
        [("data/rates.csv", "1", "2")],
    ),
    Case(
        "text of an unrelated module's file name",
        {**app(steps="def work(x): return 'a'\n", b="X = 'rates.csv'\n"), "data/rates.csv": "1"},
        [("data/rates.csv", "1", "2")],
    ),
    Case(
        "logger",
        app(steps="import logging\nlog = logging.getLogger(__name__)\ndef work(x): return x\n"),
        [("app/steps.py", "log = logging.getLogger(__name__)\n", "")],
    ),
    Case(
        "compiled pattern of nobody",
        app(steps="import re\nP = re.compile('a')\ndef work(x): return x\n"),
        [("app/steps.py", "'a'", "'b'")],
    ),
    Case(
        "files that are written",
        {
            **app(
                steps="from pathlib import Path\nHERE = Path('.')\ndef work(x):\n    open('a.csv', 'w')\n    open('a.csv', mode='wb')\n    (HERE / 'a.csv').write_text('')\n    Path('a.csv').open('a')\n    x.write_csv('a.csv')\n    x.savefig('a.csv')\n"
            ),
            "a.csv": "1",
        },
        [("a.csv", "1", "2")],
    ),
    Case(
        "texts that name nothing",
        app(
            steps="def work(x):\n    return 'app', 'a.b.c', 'app.nothing', 'e.g.', 'data.csv'\n",
            h="def clean(x): return 1\n",
        ),
        [("app/h.py", "return 1", "return 2")],
    ),
    Case(
        "data of a package",
        app(
            steps="import pkgutil\ndef work(x): return pkgutil.get_data('app', 'x.txt')\n", h="def clean(x): return 1\n"
        ),
        [("app/h.py", "return 1", "return 2")],
    ),
    Case(
        "methods that the names of a loop leave out",
        app(
            steps="from app import b\ndef work(x):\n    return [getattr(x, name)() for name in ('size', 'go')]\n",
            b="class V:\n    def never(self): return 1\n",
        ),
        [("app/b.py", "return 1", "return 2")],
    ),
    Case(
        "another class beside a computed name on the own object",
        app(
            steps="from app.b import V\ndef work(x): return V().go(x)\n",
            b="class V:\n    def go(self, name): return getattr(self, name)()\nclass W:\n    def size(self): return 1\n",
        ),
        [("app/b.py", "return 1", "return 2")],
    ),
    Case(
        "a class's annotated field",
        app(
            steps="from app.b import V\ndef work(x): return x.rate\n",
            b="class V:\n    rate: int\ndef other(): return 1\n",
        ),
        [("app/b.py", "return 1", "return 2")],
    ),
    Case(
        "a regular expression",
        {**app(steps="def work(x): return '[A-Za-z_.-]*', '.*', 'a.?'\n"), "a.csv": "1"},
        [("a.csv", "1", "2")],
    ),
    Case(
        "a local variable gets an annotation",
        app(steps="def work(x):\n    y = x\n    return y\n"),
        [("app/steps.py", "y = x", "y: 'object' = x")],
    ),
    Case(
        "values that nobody names, made by the project's own code",
        app(
            steps="from app.r import Check, Limit, Pair, noted, table\nCHECKS = [Check('a', 1)]\nPAIR = Pair(1)\nLIMIT = Limit(3)\nTABLE = table([1])\n@noted\ndef other(): return 1\ndef work(x): return x\n",
            r="from dataclasses import dataclass\nfrom typing import NamedTuple\nfrom functools import wraps\n@dataclass(frozen=True)\nclass Check:\n    name: str\n    n: int\n    def __post_init__(self):\n        if self.n < 0: raise ValueError(f'{self.n}')\n        object.__setattr__(self, 'n', int(self.n))\nclass Pair(NamedTuple):\n    a: int\nclass Base:\n    def __init__(self, n): self.n = n\nclass Limit(Base):\n    def __init__(self, n):\n        super().__init__(n)\n        self.more = [n]\ndef table(items):\n    found = {}\n    for item in items:\n        found[item] = Pair(item)\n        found.update(x=1)\n    return found\ndef noted(f):\n    @wraps(f)\n    def inner(*a): return f(*a)\n    return inner\n",
        ),
        [
            ("app/steps.py", "Check('a', 1)", "Check('b', 2), Check('c', 3)"),
            ("app/steps.py", "Pair(1)", "Pair(2)"),
            ("app/steps.py", "Limit(3)", "Limit(4)"),
            ("app/steps.py", "table([1])", "table([2])"),
            ("app/steps.py", "return 1", "return 2"),
        ],
    ),
    Case(
        "another function of a module that a name is put into",
        app(
            steps="import app.p\nfrom app import h\ndef work(x): return h.ADDED\n",
            h="def other(x): return 1\n",
            p="from app import h\nsetattr(h, 'ADDED', 3)\n",
        ),
        [("app/h.py", "return 1", "return 2")],
    ),
]


def _each(cases):
    return [pytest.param(case, edit, id=f"{case.name}-{n}") for case in cases for n, edit in enumerate(case.edits)]


@pytest.mark.parametrize(("case", "edit"), _each(COUNTING))
def test_an_edit_of_what_is_reached_counts(sandbox, case, edit):
    sandbox.write(case.files)
    before = sandbox.code(case.target)
    sandbox.edit(*edit)
    after = sandbox.code(case.target)
    assert after.digest != before.digest
    assert before.differences(after)


@pytest.mark.parametrize(("case", "edit"), _each(NEUTRAL))
def test_an_edit_of_nothing_reached_does_not_count(sandbox, case, edit):
    sandbox.write(case.files)
    before = sandbox.code(case.target)
    sandbox.edit(*edit)
    after = sandbox.code(case.target)
    assert before.differences(after) == []
    assert after.digest == before.digest


@pytest.mark.parametrize("case", COUNTING, ids=[case.name for case in COUNTING])
def test_equal_projects_in_two_folders_have_equal_fingerprints(sandbox, tmp_path, monkeypatch, case):
    sandbox.write(case.files)
    here = sandbox.code(case.target)
    sandbox.forget()
    checkout = tmp_path / "elsewhere" / "checkout"
    checkout.mkdir(parents=True)
    other = type(sandbox)(checkout, sandbox.distributions)
    monkeypatch.syspath_prepend(str(checkout))
    other.write(case.files)
    monkeypatch.chdir(checkout)
    there = other.code(case.target)
    other.forget()
    assert here.differences(there) == []
    assert here.digest == there.digest


def test_the_entry_modules_effects_count(sandbox):
    sandbox.write(
        app(
            steps="from app.r import R\ndef work(x): return R\n",
            r="R = []\n",
            plug="from app.r import R\nR.append(1)\n",
            flow="import app.plug\nfrom app.steps import work\ndef unrelated(): return 1\n",
        )
    )
    before = sandbox.code("app.steps:work", entry=("app.flow",))
    sandbox.edit("app/flow.py", "return 1", "return 2")
    assert sandbox.code("app.steps:work", entry=("app.flow",)).digest == before.digest
    sandbox.edit("app/plug.py", "append(1)", "append(2)")
    after = sandbox.code("app.steps:work", entry=("app.flow",))
    assert before.differences(after) == ["top-level code in app/plug.py:2 changed"]


def test_depth_is_no_limit(sandbox):
    terms = " + ".join(["x"] * 2_000)
    chain = "".join(f"def f{n}(x): return f{n + 1}(x)\n" for n in range(2_000))
    sandbox.write(app(steps=f"{chain}def f2000(x): return 1\ndef work(x): return f0(x) + {terms}\n"))
    before = sandbox.code("app.steps:work")
    sandbox.edit("app/steps.py", "return 1\n", "return 2\n")
    after = sandbox.code("app.steps:work")
    assert before.differences(after) == ["f2000 in app/steps.py:2001 changed"]


def test_a_source_that_no_longer_parses_counts_by_its_bytes(sandbox):
    sandbox.write(app(steps=STEP, helpers="def clean(x): return x\n"))
    function = sandbox.load("app.steps:work")
    sandbox.write({"app/helpers.py": "def clean(x: return x\n"})
    broken = fingerprint(function, sandbox.project, str, Stamps())
    assert "app/helpers.py::<top level>" in broken.parts
    sandbox.write({"app/helpers.py": "def clean(y: return x\n"})
    assert fingerprint(function, sandbox.project, str, Stamps()).digest != broken.digest


@pytest.mark.parametrize(
    "name", ["argparse", "contextlib", "dataclasses", "enum", "functools", "json.decoder", "tokenize"]
)
def test_real_sources_written_otherwise_have_equal_facts(name):
    """All layout, comments and quotes go when a tree is written out again; the facts stay."""
    source = Path(importlib.import_module(name).__file__).read_bytes()
    tree = ast.parse(source)
    again = ast.unparse(tree).encode()
    assert again != source

    def facts(text):
        found = facts_of(text, "0", "a.b", "a/b.py", is_package=False)
        units = [
            (
                unit.piece.label,
                unit.piece.digest,
                unit.piece.refs,
                unit.is_effect,
                unit.asks,
                unit.evaluates,
                sorted(unit.members),
            )
            for unit in found.units
        ]
        return units, found.import_bindings, [name for name, _ in found.stars], found.future

    assert facts(again) == facts(source)


@pytest.mark.parametrize("name", ["argparse", "contextlib", "functools"])
def test_each_changed_constant_of_a_real_source_changes_one_unit(name):
    """The normal form keeps every constant: each is changed in turn, and its statement's digest alone follows."""
    source = Path(importlib.import_module(name).__file__).read_bytes()

    def digests(tree):
        return [normal_digest([node], lambda decorator: False) for node in tree.body]

    before = digests(ast.parse(source))
    tree = ast.parse(source)
    constants = [
        (place, node)
        for place, statement in enumerate(tree.body)
        for node in ast.walk(statement)
        if isinstance(node, ast.Constant) and not isinstance(node.value, str)
    ]
    assert len(constants) > 10
    for place, node in constants[::7]:
        kept, node.value = node.value, (2.5 if node.value is None else None)
        now = normal_digest([tree.body[place]], lambda decorator: False)
        node.value = kept
        assert now != before[place]
    assert digests(tree) == before
