"""What is learnt from trajectories. Nothing is here yet."""
