-- What people do about an alert: to whom it went, who did it, when.
ALTER TABLE alert ADD COLUMN assignee TEXT;          -- a team or a person
ALTER TABLE alert ADD COLUMN handled_by TEXT;
ALTER TABLE alert ADD COLUMN handled_at INTEGER;
ALTER TABLE alert ADD COLUMN closed_at INTEGER;      -- verified or dismissed
ALTER TABLE alert_step ADD COLUMN assignee TEXT;
