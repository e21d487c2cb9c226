"""Pickers of people, for the forms."""

from django.contrib.admin.widgets import AutocompleteSelect, AutocompleteSelectMultiple

from chats.admin.filters import as_uuid


class IdsOnly:
    """Mixed into a picker so that a refused form is shown again, not a crash.

    Django looks up whatever was posted to name it, and fails on what is no id.
    """

    def optgroups(self, name, value, attr=None):
        ids = [item for item in value if not item or as_uuid(str(item))]
        return super().optgroups(name, ids, attr)


class PersonPicker(IdsOnly, AutocompleteSelect):
    """One person."""


class PeoplePicker(IdsOnly, AutocompleteSelectMultiple):
    """Any number of people."""


class PicksPeople:
    """Mixed into an admin class: its ``autocomplete_fields`` are people."""

    def formfield_for_foreignkey(self, db_field, request, **kwargs):
        if db_field.name in self.autocomplete_fields:
            kwargs["widget"] = PersonPicker(db_field, self.admin_site)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_dbfield(self, db_field, request, **kwargs):
        """Leave of the buttons beside a picker the one that shows the person."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name in self.autocomplete_fields:
            for button in ("add", "change", "delete"):
                setattr(field.widget, f"can_{button}_related", False)
        return field
