"""The living page of the design system: every part in every state, rendered by the product's own templates and functions from
made-up objects that are never saved."""
