"""A shop's figures. Names are handed on from here."""

from shop.money import Money
from shop.text import clean_name as tidy

__all__ = ["Money", "tidy"]
EDITION = 7
