-- Gives a replica's place in line up; another replica may hold it by now. A durable question is nobody's from then on, so
-- that the next sweep of any replica takes it over.
with left_over as (
    update turn_tickets set replica_id = '' where run_id = $1 and replica_id = $2 and question is not null
)
delete from turn_tickets where run_id = $1 and replica_id = $2 and question is null
