"""A serving cluster, simulated: sessions of agents, replicas with batches, caches of limited size."""

__all__: list[str] = []
