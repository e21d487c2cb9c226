"""Widgets to pick users in forms."""

from django.contrib.admin.widgets import AutocompleteSelect, AutocompleteSelectMultiple

from chats.admin.filters import as_uuid


class IdsOnly:
    """Mixin for a picker that ignores invalid ids when an invalid form is shown again.

    Django looks up the name of each posted value, and fails if it is not an id.
    """

    def optgroups(self, name, value, attr=None):
        ids = [item for item in value if not item or as_uuid(str(item))]
        return super().optgroups(name, ids, attr)


class PersonPicker(IdsOnly, AutocompleteSelect):
    """A picker for one user."""


class PeoplePicker(IdsOnly, AutocompleteSelectMultiple):
    """A picker for any number of users."""


class PicksPeople:
    """Mixin for an admin class whose ``autocomplete_fields`` are users."""

    def formfield_for_foreignkey(self, db_field, request, **kwargs):
        if db_field.name in self.autocomplete_fields:
            kwargs["widget"] = PersonPicker(db_field, self.admin_site)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_dbfield(self, db_field, request, **kwargs):
        """Remove the buttons beside a picker, except the one that shows the user."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name in self.autocomplete_fields:
            for button in ("add", "change", "delete"):
                setattr(field.widget, f"can_{button}_related", False)
        return field
