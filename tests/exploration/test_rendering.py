from __future__ import annotations

import pytest
import torch

from napari_medsyn.exploration.rendering import is_out_of_memory


def test_running_out_of_memory_is_recognised_in_every_guise():
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"))


def test_what_torchs_own_allocator_says_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**14)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes differ"), ValueError("x"), OSError(12, "x")]
)
def test_other_errors_are_not(error):
    assert not is_out_of_memory(error)
