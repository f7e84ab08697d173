"""Fine-tuning: training that wins back what a conversion has cost."""

from tensornet_keras.finetuning.finetune import finetune
from tensornet_keras.finetuning.phases import Blockwise, Compress, EndToEnd

__all__ = ["Blockwise", "Compress", "EndToEnd", "finetune"]
