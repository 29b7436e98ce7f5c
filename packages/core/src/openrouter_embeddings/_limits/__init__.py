"""Says whether a request may leave now: concurrency, pace, circuit breaker and budgets, as arithmetic on given times."""

from .breaker import back_off
from .limiter import TrafficLimiter
from .signals import Feedback, Load, OverBudget, Permit, Wait

__all__ = ["Feedback", "Load", "OverBudget", "Permit", "TrafficLimiter", "Wait", "back_off"]
