//! Real-time priority for the threads of the player.

/// Asks that the calling thread runs before ordinary ones: the first in, first out policy of Linux at
/// a low real-time priority, elsewhere the highest ordinary priority. A system that refuses leaves
/// the thread as it was, which is enough on a machine that is not overloaded.
pub(crate) fn raise() {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{
            RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue,
            ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
        };
        let Ok(value) = ThreadPriorityValue::try_from(10) else { return };
        let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
        let priority = ThreadPriority::Crossplatform(value);
        let _refused = set_thread_priority_and_policy(thread_native_id(), priority, policy);
    }
    #[cfg(not(target_os = "linux"))]
    {
        use thread_priority::{ThreadPriority, set_current_thread_priority};
        let _refused = set_current_thread_priority(ThreadPriority::Max);
    }
}
