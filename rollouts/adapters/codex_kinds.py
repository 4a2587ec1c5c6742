"""The kinds of record of a Codex rollout, as the program itself (0.169.0) and versions before it name them."""

__all__ = ["CALLS", "EVENT_NOTES", "FAILURES", "ITEMS", "ITEM_NOTES", "LINES", "LINE_NOTES", "OUTPUTS"]

CALLS = frozenset({"custom_tool_call", "function_call", "local_shell_call", "tool_search_call"})
OUTPUTS = frozenset(
    {"custom_tool_call_output", "function_call_output", "local_shell_call_output", "tool_search_output"}
)
ITEMS = CALLS | OUTPUTS | {"agent_message", "message", "reasoning"}
"""Types of `response_item` that are read as conversation."""
ITEM_NOTES = frozenset(
    {
        "compaction",
        "compaction_summary",
        "compaction_trigger",
        "configuration_update",
        "context_compaction",
        "ghost_snapshot",
        "image_generation_call",
        "other",
        "web_search_call",
    }
)
"""Types of `response_item` that become notes."""

LINE_NOTES = frozenset({"inter_agent_communication_metadata", "realtime_item", "security_risk_score", "world_state"})
"""Types of record that become notes."""
LINES = LINE_NOTES | {
    "compacted",
    "event_msg",
    "inter_agent_communication",
    "response_item",
    "session_meta",
    "token_usage_record",
    "turn_context",
}
"""Types of record."""

FAILURES = frozenset({"error", "stream_error"})
"""Types of `event_msg` that are errors."""
EVENT_NOTES = frozenset(
    """
    agent_message agent_message_content_delta agent_message_delta agent_reasoning agent_reasoning_delta
    agent_reasoning_raw_content agent_reasoning_raw_content_delta agent_reasoning_section_break
    auth_recovery_completed auth_recovery_started background_event collab_agent_interaction_begin
    collab_agent_interaction_end collab_agent_spawn_begin collab_agent_spawn_end collab_close_begin collab_close_end
    collab_resume_begin collab_resume_end collab_waiting_begin collab_waiting_end context_compacted
    deprecation_notice dynamic_tool_call_request dynamic_tool_call_response elicitation_abandoned
    elicitation_request entered_review_mode environment_connected environment_disconnected exec_command_begin
    exec_command_end exec_command_output_delta exited_review_mode get_history_entry_response guardian_assessment
    guardian_warning hook_completed hook_started image_generation_begin image_generation_end injected_message
    item_completed item_started list_custom_prompts_response list_skills_response mcp_list_tools_response
    mcp_startup_complete mcp_startup_update mcp_tool_call_begin mcp_tool_call_end model_reroute
    model_verification patch_apply_begin patch_apply_end patch_apply_updated plan_delta plan_update
    raw_response_completed raw_response_item realtime_conversation_closed
    realtime_conversation_list_voices_response realtime_conversation_realtime realtime_conversation_sdp
    realtime_conversation_started reasoning_content_delta reasoning_raw_content_delta request_permissions
    request_user_input safety_buffering session_configured shutdown_complete skills_update_available
    sub_agent_activity task_complete task_started terminal_interaction thread_goal_updated thread_name_updated
    thread_queue_changed thread_rolled_back thread_settings_applied token_count turn_aborted turn_complete
    turn_diff turn_moderation_metadata turn_started undo_completed undo_started view_image_tool_call warning
    web_search_begin web_search_end
    """.split()
)
"""Types of `event_msg` that become notes."""
