"""The networks of the papers, with the parameter counts they published."""

from .garipov import conv, conv_fc, tt_conv, tt_conv_tt_fc
from .lenet5 import lenet5
from .resnet32 import resnet32_convolutions
from .resnet_cifar import normalized, resnet_cifar
from .t3f_tutorial import dense_net, tt_net

__all__ = [
    "conv",
    "conv_fc",
    "dense_net",
    "lenet5",
    "normalized",
    "resnet32_convolutions",
    "resnet_cifar",
    "tt_conv",
    "tt_conv_tt_fc",
    "tt_net",
]
