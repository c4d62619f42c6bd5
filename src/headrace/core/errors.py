"""What can go wrong, as one tree.

::

    HeadraceError
    ├── DefinitionError          a step, pipeline or plan is wrong
    │   └── ValueCodecError      a value in a plan cannot be encoded or decoded
    ├── ParameterError           a pipeline parameter is unknown, missing or of the wrong type
    │   └── MissingParameterError  one that has no default was not given
    ├── ProjectError             the project or pipeline cannot be found or imported
    ├── CodeChangedError         this environment holds other code than the plan
    ├── FormatError              a value cannot be saved or loaded as declared
    ├── StoreError               the store cannot be read or written
    │   ├── DamagedObjectError   stored bytes are absent, cut short or not what their digest says
    │   ├── StoreFullError       no space is left
    │   └── StoreReadOnlyError   the store may not be written
    ├── DataError                input data is not as it should be
    ├── StepError                a step of the user's failed
    ├── RunError                 there is no such run or node, or it is in the wrong state
    └── TransientError           may pass if tried again; steps raise it too
"""

from __future__ import annotations

from collections.abc import Iterable


class HeadraceError(Exception):
    """The base of every error raised on purpose.

    Attributes
    ----------
    message
        What happened, as one sentence without its full stop; values as ``repr`` shows them.
    where
        The pipeline, step, or file and line, or None.
    hint
        What to do, or None.

    As text: ``message (where).``, and ``Hint: hint`` on a line of its own. It goes from process to process (pickle)
    with all its attributes, whatever arguments a subclass takes.
    """

    def __init__(self, message: object, *, hint: str | None = None, where: str | None = None) -> None:
        self.message = str(message)
        self.hint = hint
        self.where = where
        text = self.message
        if where:
            text = f"{text.removesuffix('.')} ({where})."
        elif not text.endswith((".", "?", "!")):
            text = f"{text}."
        super().__init__(text + (f"\nHint: {hint}" if hint else ""))

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.hint, self.where, self.__dict__)


def _rebuild(
    kind: type[HeadraceError], message: str, hint: str | None, where: str | None, facts: dict[str, object]
) -> HeadraceError:
    """Make an error again in another process, its facts included, whatever its constructor asks for."""
    error = kind.__new__(kind)
    HeadraceError.__init__(error, message, hint=hint, where=where)
    error.__dict__.update(facts)
    return error


class DefinitionError(HeadraceError):
    """A step, pipeline or plan is wrong."""


class ValueCodecError(DefinitionError):
    """A value in a plan cannot be encoded or decoded."""


class ParameterError(HeadraceError):
    """A pipeline parameter is unknown, missing or of the wrong type."""


class MissingParameterError(ParameterError):
    """A parameter that has no default was not given."""


class ProjectError(HeadraceError):
    """The project or pipeline cannot be found or imported."""


class CodeChangedError(HeadraceError):
    """This environment holds other code than the plan."""


class FormatError(HeadraceError):
    """A value cannot be saved or loaded as declared."""


class StoreError(HeadraceError):
    """The store cannot be read or written."""


class DamagedObjectError(StoreError):
    """Stored bytes are absent, cut short or not what their digest says."""

    def __init__(self, digest: str, problem: str, *, where: str | None = None) -> None:
        self.digest = digest
        self.problem = problem
        super().__init__(
            f"Object {digest[:12]} is {problem}",
            where=where,
            hint="nothing is lost: run again, and the step that made it is executed again",
        )


class StoreFullError(StoreError):
    """No space is left where the store is."""


class StoreReadOnlyError(StoreError):
    """The store may not be written."""


class DataError(HeadraceError):
    """Input data is not as it should be."""


class StepError(HeadraceError):
    """A step of the user's failed."""


class RunError(HeadraceError):
    """There is no such run or node, or it is in the wrong state."""


class TransientError(HeadraceError):
    """Something that may pass if it is tried again. Steps may raise it to ask for a retry."""

    def __init__(
        self,
        message: object = "this may pass if it is tried again",
        *,
        hint: str | None = None,
        where: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, where=where)


def near_miss(name: str, known: Iterable[str]) -> str | None:
    """Say which known name was probably meant: ``"did you mean 'features'?"``, or list at most eight that there are.

    None when none is known.
    """
    from difflib import get_close_matches

    by_small = {item.casefold(): item for item in sorted(set(known), reverse=True)}
    close = get_close_matches(name.casefold(), by_small, n=1, cutoff=0.6)
    if close:
        return f"did you mean {by_small[close[0]]!r}?"
    names = sorted(set(by_small.values()))
    if not names:
        return None
    shown = ", ".join(repr(item) for item in names[:8])
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"there are {shown}{more}"
