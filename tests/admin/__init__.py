"""The admin site: its pages, lists, forms and actions, and the audit of them."""
