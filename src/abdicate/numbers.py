"""Named numbers, declared like enumerations, without the price of ``enum``.

The module ``enum`` and what it loads cost half a bare start of Python, and a drop runs in front
of every start of a process. Type checkers see the real classes, whose members these have: by
attribute, by number and by name, in their order, with ``name`` and ``value``.

This module knows nothing about identities, plans or kernels.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enum import IntEnum, IntFlag
else:

    class _Named(type):
        """Turns the numbers of a class body into the members of the class."""

        def __new__(mcs, name, bases, namespace):
            numbers = {key: value for key, value in namespace.items() if type(value) is int}
            body = {key: value for key, value in namespace.items() if key not in numbers}
            made = super().__new__(mcs, name, bases, {"__slots__": (), **body})
            members = {key: int.__new__(made, value) for key, value in numbers.items()}
            type.__setattr__(made, "__members__", members)
            type.__setattr__(made, "_names", {value: key for key, value in numbers.items()})
            for key, member in members.items():
                type.__setattr__(made, key, member)
            return made

        def __setattr__(cls, name, value):
            raise AttributeError(f"{cls.__name__} has its members, and {name!r} can't be set")

        def __call__(cls, number):
            return cls._of(number)

        def __getitem__(cls, name):
            return cls.__members__[name]

        def __contains__(cls, number):
            return number in cls._names

        def __iter__(cls):
            return iter(cls.__members__.values())

        def __len__(cls):
            return len(cls.__members__)

    class _Number(int, metaclass=_Named):
        @property
        def name(self):
            """The member's name in its class."""
            return self._names.get(int(self))

        @property
        def value(self):
            """The number, as a plain int."""
            return int(self)

        def __repr__(self):
            return f"<{type(self).__name__}.{self.name}: {int(self)}>"

        def __str__(self):
            return int.__repr__(self)

        def __format__(self, spec):
            return format(str(self), spec)

        def __reduce__(self):
            return type(self), (int(self),)

        @classmethod
        def __get_pydantic_core_schema__(cls, _source, handler):
            # A field of a pydantic model: the number, or a member, as with an enumeration. What
            # is returned is pydantic's core schema, plain data, so that nothing is imported.
            function = {"type": "no-info", "function": cls}
            schema = handler.generate_schema(int)
            return {"type": "function-after", "function": function, "schema": schema}

    class IntEnum(_Number):
        """Numbers with a name each; there are no others."""

        @classmethod
        def _of(cls, number):
            if number not in cls._names:
                raise ValueError(f"{number!r} is not a valid {cls.__name__}")
            return cls.__members__[cls._names[number]]

    class IntFlag(_Number):
        """Bits with a name each, and whatever other bits are set besides."""

        @property
        def name(self):
            """The names of the bits that have one, None where there is none."""
            return "|".join(bit._names[int(bit)] for bit in self) or None

        @classmethod
        def _of(cls, number):
            name = cls._names.get(number)
            return int.__new__(cls, number) if name is None else cls.__members__[name]

        def __or__(self, other):
            return type(self)(int(self) | int(other))

        def __and__(self, other):
            return type(self)(int(self) & int(other))

        def __xor__(self, other):
            return type(self)(int(self) ^ int(other))

        def __invert__(self):
            named = sum(self._names)
            return type(self)(named & ~int(self))

        def __contains__(self, bits):
            return not int(bits) & ~int(self)

        def __iter__(self):
            return (bit for bit in type(self) if int(bit) & int(self))

        def __len__(self):
            return int(self).bit_count()

        __ror__, __rand__, __rxor__ = __or__, __and__, __xor__


__all__ = ["IntEnum", "IntFlag"]
