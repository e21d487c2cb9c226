"""List actions that ask for confirmation."""

from collections.abc import Callable
from functools import wraps

from django.contrib.admin import helpers
from django.template.response import TemplateResponse

MOST_NAMED = 100  # rows listed by name; of the others, the page shows the number


def confirm_first(question: str, consequence: str) -> Callable:
    """Decorate an action to show the selected rows and run only when confirmed.

    As for Django's own deletion, the page posts the same action again, with ``post``.
    """

    def wrap(action: Callable) -> Callable:
        @wraps(action)
        def wrapper(self, request, queryset):
            if request.POST.get("post"):
                return action(self, request, queryset)
            rows = list(queryset)
            context = {
                **self.admin_site.each_context(request),
                "title": question,
                "consequence": consequence,
                "action": action.__name__,
                "rows": rows,
                "named": rows[:MOST_NAMED],
                "more": len(rows[MOST_NAMED:]),
                "checkbox": helpers.ACTION_CHECKBOX_NAME,
                "opts": self.opts,
                "media": self.media,
            }
            request.current_app = self.admin_site.name
            return TemplateResponse(request, "admin/chats/confirm.html", context)

        return wrapper

    return wrap
