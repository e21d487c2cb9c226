/** The web client: each module does one thing; those above know those below, see docs/architecture.md. */
import "./appearance.js";
import "./storage.js";
import "./outbox.js";
import "./drafts.js";
import "./list.js";
import "./timeline.js";
import "./context.js";
import "./copying.js";
import "./info.js";
import "./composer.js";
import "./emoji.js";
import "./chooser.js";
import "./keyboard.js";
import "./notifications.js";
import "./panel.js";
import "./settings.js";
import "./sessions.js";
import "./tokens.js";
import "./account.js";
import "./passwords.js";
import "./skip.js";
import "./announcements.js";
import "./address.js";
import "./connection.js";
import { openResetLink } from "./reset.js";
import { begin } from "./session.js";

if (!openResetLink()) begin();
