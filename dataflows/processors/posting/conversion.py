"""Conversion: quantities in the unit that an order or a material wants, by the material's own units (M11).

Law: a conversion is exact or not made; what would be finer than a thousandth is a failure, never rounded.
"""

from __future__ import annotations

from canonical.contracts import ExceptionCode, MaterialReference
from canonical.contracts.fault import FaultCode
from canonical.units import QuantityError, convert_thousandths
from dataflows.processors.posting.draft import Draft
from dataflows.processors.posting.failure import Failure


def in_unit(
    draft: Draft, quantities: tuple[int, ...], unit: str, target: str, material: MaterialReference
) -> tuple[int, ...] | Failure:
    """Return thousandths of ``unit`` as thousandths of ``target``: exactly, or not at all."""
    if unit == target:
        return quantities
    try:
        return tuple(converted(quantity, unit, target, material) for quantity in quantities)
    except QuantityError as error:
        name = material.material
        return Failure(
            ExceptionCode.UNIT_NOT_CONVERTIBLE,
            (("plant", draft.plant), ("material", name)),
            f"{name}: {error}",
            f"say in its material record how many {material.base_unit} one {unit} is",
        )


def converted(quantity: int, unit: str, target: str, material: MaterialReference) -> int:
    """Return thousandths of ``unit`` as thousandths of ``target``, by the material's own units where it has them.

    Raises: QuantityError.
    """
    if unit == target:
        return quantity
    numerator, denominator = quantity, 1
    base = material.base_unit
    ratios = {ratio.unit: ratio for ratio in material.units}
    if unit in ratios:
        numerator, denominator = quantity * ratios[unit].numerator, ratios[unit].denominator
        unit = base
    if target in ratios:
        numerator, denominator = numerator * ratios[target].denominator, denominator * ratios[target].numerator
        numerator = convert_thousandths(numerator, unit, base)
    else:
        numerator = convert_thousandths(numerator, unit, target)
    whole, rest = divmod(numerator, denominator)
    if rest:
        raise QuantityError(
            FaultCode.ABSURD_QUANTITY, f"{quantity} thousandths are finer than a thousandth of {target}"
        )
    return whole
