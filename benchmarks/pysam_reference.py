"""NREL's Utilityrate5 (PySAM), set up for one year of one URDB rate."""

import contextlib
import copy
import io
from typing import Any

import numpy as np
import numpy.typing as npt
import PySAM.Utilityrate5
from PySAM import UtilityRateTools

Hours = npt.NDArray[np.float64]
MONTH_ENDS = np.cumsum([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) * 24


def prepare(rate: dict[str, Any]) -> Any:
    """Return a model with the rate loaded: what is not part of a timed run."""
    with contextlib.redirect_stdout(io.StringIO()):
        rates = UtilityRateTools.URDBv8_to_ElectricityRates(copy.deepcopy(rate))
    model = PySAM.Utilityrate5.new()
    fixed = {
        "ur_monthly_fixed_charge": 0,
        "ur_monthly_min_charge": 0,
        "ur_annual_min_charge": 0,
        "ur_nm_yearend_sell_rate": 0,
        "ur_nm_credit_month": 11,
        "ur_nm_credit_rollover": 0,
        "ur_sell_eq_buy": 0,
        "ur_en_ts_sell_rate": 0,
        "ur_en_ts_buy_rate": 0,
        "TOU_demand_single_peak": 0,
        "ur_yearzero_usage_peaks": [0.0] * 12,
    }
    for name, value in (fixed | rates).items():
        setattr(model.ElectricityRates, name, value)
    model.Lifetime.analysis_period = 1
    model.Lifetime.inflation_rate = 0
    model.Lifetime.system_use_lifetime_output = 0
    model.SystemOutput.degradation = [0]
    return model


def run(model: Any, *, load: Hours, generation: Hours) -> Hours:
    """Return the twelve monthly totals in dollars; the year before is taken to have been like this one."""
    taken = np.maximum(load - generation, 0)
    model.ElectricityRates.ur_yearzero_usage_peaks = [float(part.max()) for part in np.split(taken, MONTH_ENDS[:-1])]
    model.SystemOutput.gen = generation.tolist()
    model.Load.load = load.tolist()
    model.execute()
    return np.array(model.Outputs.utility_bill_w_sys_ym[1])
