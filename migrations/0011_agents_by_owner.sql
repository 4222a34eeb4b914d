-- A user's private agents have names of their own: two users may name theirs alike, and like a shared one, without
-- learning of each other. In one step, because no version before it makes private agents.
drop index agents_living_name_unique;
create unique index agents_living_name_unique on agents (project_id, coalesce(user_id, ''), name)
    where deleted_at is null;

-- The living agent that a caller means by an id or a name: a user's own goes before a shared one of the same name;
-- a caller that acts for no user means private ones by id only, as their names may be many users'.
create function visible_agents(of_project text, for_user text, asked text) returns setof agents
    language sql stable as $$
    select *
    from agents
    where project_id = of_project and deleted_at is null
      and (id = asked and (for_user is null or user_id is null or user_id = for_user)
           or name = asked and (user_id is null or user_id = for_user))
    order by user_id nulls last
    limit 1
$$;
