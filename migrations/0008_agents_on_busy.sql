-- What an agent does with a message that finds its thread busy; null leaves it to the settings.
alter table agent_versions
    add column on_busy text
        constraint agent_versions_on_busy_known check (on_busy in ('wait', 'reject', 'queue', 'replace'));
