-- The executions of one flow in their order, for what shows the latest of a flow: flows of the same id in other
-- namespaces may have any number of them.
CREATE INDEX executions_by_flow_key ON executions (namespace, flow, id);
