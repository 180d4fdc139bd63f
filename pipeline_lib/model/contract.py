"""Contracts: what each variable of a dataset must be, checked without computing a pixel."""

from dataclasses import dataclass

import xarray as xr

from pipeline_lib.errors import ContractError


@dataclass(frozen=True, kw_only=True)
class VariableContract:
    """Name, dims, dtype and units that one variable must have."""

    name: str
    """Name of the variable in the dataset."""
    dims: tuple[str, ...]
    """Dimension names in order."""
    dtype: str
    """NumPy dtype name."""
    units: str
    """Value of ``attrs["units"]``; ``"1"`` for a pure number."""

    def check(self, dataset: xr.Dataset) -> None:
        """Raise `ContractError` on the first difference in presence, dims, dtype or units."""
        if self.name not in dataset:
            held = ", ".join(sorted(map(str, dataset.data_vars))) or "nothing"
            raise ContractError(f"{self.name!r} is missing; the dataset holds {held}.")
        variable = dataset[self.name]
        found = (variable.dims, str(variable.dtype), variable.attrs.get("units"))
        for what, got, wanted in zip(
            ("dims", "dtype", "units"), found, (self.dims, self.dtype, self.units), strict=True
        ):
            if got != wanted:
                raise ContractError(f"{self.name!r} has {what} {got!r}, expected {wanted!r}.")


def check_contracts(dataset: xr.Dataset, *contracts: VariableContract) -> xr.Dataset:
    """Check several contracts and return the dataset unchanged.

    Dims, dtype and units of each variable are those of its contract.

    Raises:
        ContractError: on the first difference.
    """
    for contract in contracts:
        contract.check(dataset)
    return dataset
