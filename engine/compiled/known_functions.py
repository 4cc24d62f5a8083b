"""Functions with a meaning of their own: what the kernel has for each."""

from __future__ import annotations

import collections
import datetime
import logging
import math
import sys
from typing import Any

import numpy as np

from engine.compiled.ufuncs import NUMBERS
from engine.compiled.values import BOOL, DATETIME, FLOAT, INT, STR, TIMEDELTA

PURE = frozenset(
    {
        *(
            len,
            range,
            str,
            repr,
            int,
            float,
            bool,
            abs,
            min,
            max,
            sum,
            round,
            frozenset,
            sorted,
        ),
        *(
            reversed,
            enumerate,
            zip,
            any,
            all,
            type,
            isinstance,
            issubclass,
            hasattr,
            callable,
            divmod,
            pow,
            map,
            ord,
            chr,
        ),
        *(getattr(math, name) for name in dir(math) if not name.startswith("_")),
        *(datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.datetime.strptime),
        *(collections.OrderedDict, collections.defaultdict, collections.deque),
        *(datetime.datetime.combine, datetime.date.fromisoformat, datetime.datetime.fromisoformat),
    }
    - {math.pi, math.e, math.inf, math.nan, math.tau}
)
"""Functions that may be called now when every argument is known."""


FLOAT_FUNCTIONS: dict[Any, str] = {
    math.sqrt: "square_root({0}, error)",
    math.log: "logarithm({0}, error)",
    math.exp: "exponential({0}, error)",
    math.fabs: "abs({0})",
    math.sin: "math.sin({0})",
    math.cos: "math.cos({0})",
    math.tan: "math.tan({0})",
    math.atan: "math.atan({0})",
    math.tanh: "math.tanh({0})",
    math.log10: "(logarithm({0}, error) * 0.0 + math.log10({0}))",
    np.sqrt: "np.sqrt({0})",
    **{function: f"ufunc_at({number}, {{0}})" for function, number in NUMBERS.items()},
}


WHOLE_FUNCTIONS = {
    math.floor: "floor({0}, error)",
    math.ceil: "ceil({0}, error)",
    math.trunc: "whole({0}, error)",
}


TESTS = {
    math.isnan: "np.isnan({0})",
    math.isfinite: "np.isfinite({0})",
    math.isinf: "np.isinf({0})",
    np.isnan: "np.isnan({0})",
    np.isfinite: "np.isfinite({0})",
    np.isinf: "np.isinf({0})",
}


SILENT = frozenset({print, sys.stdout.write, sys.stderr.write})
"""Functions without effect on the run: left out."""


LOGGING = frozenset(
    {
        logging.debug,
        logging.info,
        logging.warning,
        logging.error,
        logging.critical,
        logging.log,
        logging.exception,
    }
)


KINDS: dict[str, Any] = {
    FLOAT: float,
    INT: int,
    BOOL: bool,
    STR: str,
    DATETIME: datetime.datetime,
    TIMEDELTA: datetime.timedelta,
    "date": datetime.date,
    "time": datetime.time,
}
