"""Which weights a network can do without: tickets, their controls, and tickets that are kept."""
from nblib.methods.pruning.controls import fine_tuned, one_shot, random_tickets, retrained
from nblib.methods.pruning.lottery import Ticket, lottery_ticket, train_ticket
from nblib.methods.pruning.masks import Hold, magnitude_mask, prunable, random_mask, sparsity_of
from nblib.methods.pruning.tickets import kept_tickets

__all__ = [
    "fine_tuned", "Hold", "kept_tickets", "lottery_ticket", "magnitude_mask", "one_shot", "prunable", "random_mask",
    "random_tickets", "retrained", "sparsity_of", "Ticket", "train_ticket",
]
