"""What the training scripts share: configuration, data, masks, checks before any GPU time, checkpoints, manifest."""

__all__: list[str] = []
