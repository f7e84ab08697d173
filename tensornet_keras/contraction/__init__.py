"""Contraction: from a network and a batch to the steps that apply it.

The plan is made here; `tensornet_keras.contraction.execute` runs it. It is
not imported here, because planning needs no Keras.
"""

from tensornet_keras.contraction.choice import plan_for, plan_of
from tensornet_keras.contraction.plan import Plan
from tensornet_keras.contraction.search import candidates, kernel_plan

__all__ = ["Plan", "candidates", "kernel_plan", "plan_for", "plan_of"]
