"""What people say: labels of steps and pairs, where they are kept, who labels what, and the page they label on."""
