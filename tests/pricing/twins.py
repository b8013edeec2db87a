"""Slow and obvious twins of the pricing kernels: the textbook formulas, and the same in 60 digits."""

from decimal import Decimal, localcontext

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899")
DIGITS = 100


def black76(forward, strike, vol, tau, discount, is_call):
    """Black's formula as it is printed; forward, strike, vol and tau positive."""
    sign = np.where(is_call, 1.0, -1.0)
    deviation = vol * np.sqrt(tau)
    d1 = np.log(forward / strike) / deviation + deviation / 2
    d2 = d1 - deviation
    return discount * sign * (forward * ndtr(sign * d1) - strike * ndtr(sign * d2))


def bachelier(forward, strike, vol, tau, discount, is_call):
    """Bachelier's formula as it is printed; vol and tau positive."""
    sign = np.where(is_call, 1.0, -1.0)
    deviation = vol * np.sqrt(tau)
    d = sign * (forward - strike) / deviation
    return discount * deviation * (d * ndtr(d) + np.exp(-d * d / 2) / np.sqrt(2 * np.pi))


def implied(formula, price, forward, strike, tau, discount, is_call, vol_max):
    """The vol by bisection of the printed formula."""
    return brentq(lambda vol: formula(forward, strike, vol, tau, discount, is_call) - price, 1e-6, vol_max, xtol=1e-14)


def exact(formula, *arguments):
    """Return `formula` (`exact_black76` or `exact_bachelier`) of Decimals or floats, in 100-digit arithmetic."""
    with localcontext() as context:
        context.prec = DIGITS
        *numbers, is_call = arguments
        return formula(*(Decimal(number) for number in numbers), is_call)


def exact_black76(forward, strike, vol, tau, discount, is_call):
    deviation = vol * tau.sqrt()
    d1 = (forward / strike).ln() / deviation + deviation / 2
    call = forward * normal(d1) - strike * normal(d1 - deviation)
    return discount * (call if is_call else call - forward + strike)


def exact_bachelier(forward, strike, vol, tau, discount, is_call):
    deviation = vol * tau.sqrt()
    d = (forward - strike) / deviation
    call = deviation * (d * normal(d) + density(d))
    return discount * (call if is_call else call - forward + strike)


def density(x):
    return (-x * x / 2).exp() / (2 * PI).sqrt()


def normal(x):
    """N(x) = 1/2 + phi(x) (x + x**3 / 3 + x**5 / (3 * 5) + ...)."""
    if abs(x) > 60:  # the tail, 1e-784, is less than any float; the series would need a million digits of exponent
        return Decimal(x > 0)
    term = total = x
    odd = 1
    while abs(term) > Decimal(10) ** -(DIGITS + 20):
        odd += 2
        term = term * x * x / odd
        total += term
    return Decimal("0.5") + density(x) * total
