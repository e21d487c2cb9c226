/** The web client: each module does one thing; those above know those below, see docs/frontends.md. */
import "./touch.js";
import "./storage.js";
import "./outbox.js";
import "./drafts.js";
import "./list.js";
import "./timeline.js";
import "./composer.js";
import "./chooser.js";
import "./panel.js";
import "./account.js";
import "./announcements.js";
import "./address.js";
import "./connection.js";
import { begin } from "./session.js";

begin();
