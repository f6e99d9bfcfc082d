//! Tasks that run other tasks, wait, or run other flows.

pub mod allow_failure;
mod batches;
pub mod dag;
pub mod each_parallel;
mod folder_cache;
pub mod for_each;
pub mod for_each_item;
pub mod if_;
pub mod loop_;
pub mod parallel;
pub mod pause;
pub mod sequential;
pub mod subflow;
pub mod switch;
pub mod wait_for;
pub mod working_directory;

/// None of its own; those of its tasks are found under their ids.
#[derive(schemars::JsonSchema)]
struct NoOutputs {}

#[cfg(test)]
mod tests {
    use crate::task::Expansion;
    use crate::tasks::ALL;

    #[test]
    fn what_a_task_decides_is_not_what_it_gives() {
        let decided = schemars::schema_for!(Expansion);
        for task in ALL.iter().filter(|task| task.is_flowable()) {
            let outputs = (task.outputs)();
            assert!(outputs.get("properties") != decided.get("properties"), "{}", task.name);
        }
    }
}
