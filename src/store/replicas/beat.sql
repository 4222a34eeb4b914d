-- Says that this replica lives, and renews the leases of the runs that it executes; answers those it still holds. Rows
-- are locked in the order of their ids, as every statement does that takes several.
with alive as (
    insert into replicas (id, alive_until) values ($1, now() + $2::bigint * interval '1 millisecond')
    on conflict (id) do update set alive_until = excluded.alive_until
), held as (
    select id from runs
    where lease_owner = $1 and id = any($3::text[]) and status in ('in_progress', 'cancelling')
    order by id for update
)
update runs set lease_until = now() + $2::bigint * interval '1 millisecond'
from held where runs.id = held.id
returning runs.id as "id: RunId"
