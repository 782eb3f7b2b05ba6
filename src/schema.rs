// @generated automatically by Diesel CLI.

diesel::table! {
    audit_log (id) {
        id -> BigInt,
        created_at -> Timestamp,
        actor_id -> Nullable<BigInt>,
        action -> Text,
        object_kind -> Text,
        object_id -> BigInt,
        user_id -> Nullable<BigInt>,
        changes -> Text,
        note -> Text,
        address -> Text,
    }
}

diesel::table! {
    auth_tokens (id) {
        id -> BigInt,
        user_id -> BigInt,
        digest -> Binary,
        first_characters -> Text,
        name -> Nullable<Text>,
        created_at -> Timestamp,
        last_used_at -> Nullable<Timestamp>,
        expires_at -> Nullable<Timestamp>,
        revoked_at -> Nullable<Timestamp>,
        operation_id -> Nullable<Binary>,
        fingerprint -> Nullable<Binary>,
    }
}

diesel::table! {
    backup_runs (id) {
        id -> BigInt,
        started_at -> Timestamp,
        finished_at -> Timestamp,
        actor_id -> Nullable<BigInt>,
        file -> Text,
        size -> BigInt,
        failure -> Nullable<Text>,
    }
}

diesel::table! {
    bulk_failures (bulk_operation_id, object_id) {
        bulk_operation_id -> BigInt,
        object_id -> BigInt,
        reason -> Text,
    }
}

diesel::table! {
    bulk_former_limits (bulk_operation_id, user_id) {
        bulk_operation_id -> BigInt,
        user_id -> BigInt,
        concurrent_chats -> Nullable<BigInt>,
        requests_per_minute -> Nullable<BigInt>,
    }
}

diesel::table! {
    bulk_operations (id) {
        id -> BigInt,
        seed -> Binary,
        actor_id -> BigInt,
        kind -> Text,
        amount -> BigInt,
        note -> Text,
        selection -> Text,
        address -> Text,
        ids -> Binary,
        total -> BigInt,
        position -> BigInt,
        failed -> BigInt,
        created_at -> Timestamp,
        finished_at -> Nullable<Timestamp>,
        concurrent_chats -> Nullable<BigInt>,
        requests_per_minute -> Nullable<BigInt>,
    }
}

diesel::table! {
    bulk_undos (undone_id) {
        undone_id -> BigInt,
        undoing_id -> BigInt,
    }
}

diesel::table! {
    chats (id) {
        id -> BigInt,
        user_id -> BigInt,
        message -> Text,
        response -> Nullable<Text>,
        model -> Text,
        state -> Text,
        charge -> BigInt,
        prompt_tokens -> Nullable<BigInt>,
        completion_tokens -> Nullable<BigInt>,
        failure -> Nullable<Text>,
        origin -> Text,
        created_at -> Timestamp,
        finished_at -> Nullable<Timestamp>,
        deadline -> Nullable<Timestamp>,
        conversation_id -> Nullable<BigInt>,
        answer_extras -> Nullable<Text>,
        usage_estimated -> Nullable<Bool>,
        first_byte_at -> Nullable<Timestamp>,
        endpoint -> Nullable<Text>,
        is_listed -> Bool,
    }
}

diesel::table! {
    chats_to_follow (chat_id) {
        chat_id -> BigInt,
    }
}

diesel::table! {
    compatibility (id) {
        id -> BigInt,
        oldest_binary -> Text,
    }
}

diesel::table! {
    conversations (id) {
        id -> BigInt,
        user_id -> BigInt,
        title -> Text,
        created_at -> Timestamp,
        deleted_at -> Nullable<Timestamp>,
        is_automatic -> Bool,
    }
}

diesel::table! {
    embedding_answers (chat_id) {
        chat_id -> BigInt,
        vectors -> Nullable<Binary>,
        dimensions -> BigInt,
        created_at -> Timestamp,
        user_id -> Nullable<BigInt>,
        bytes_before -> BigInt,
    }
}

diesel::table! {
    follower_marks (name) {
        name -> Text,
        position -> BigInt,
    }
}

diesel::table! {
    idempotency_keys (user_id, key) {
        user_id -> BigInt,
        key -> Text,
        fingerprint -> Binary,
        chat_id -> BigInt,
        created_at -> Timestamp,
    }
}

diesel::table! {
    import_map (source, kind, source_id) {
        source -> Text,
        kind -> Text,
        source_id -> Text,
        target_id -> BigInt,
    }
}

diesel::table! {
    ledger_entries (id) {
        id -> BigInt,
        user_id -> BigInt,
        amount -> BigInt,
        balance_after -> BigInt,
        kind -> Text,
        chat_id -> Nullable<BigInt>,
        actor_id -> Nullable<BigInt>,
        note -> Text,
        operation_id -> Binary,
        created_at -> Timestamp,
    }
}

diesel::table! {
    models (id) {
        id -> BigInt,
        name -> Text,
        is_withdrawn -> Bool,
        base_price -> Nullable<BigInt>,
        prompt_price -> Nullable<BigInt>,
        completion_price -> Nullable<BigInt>,
        version -> BigInt,
        accepts_images -> Nullable<Bool>,
        accepts_audio -> Nullable<Bool>,
        accepts_tools -> Nullable<Bool>,
        context_tokens -> Nullable<BigInt>,
        default_output -> Nullable<BigInt>,
        max_output -> Nullable<BigInt>,
        image_tokens -> Nullable<BigInt>,
        extra_fields -> Text,
        aliases -> Text,
        embedding_price -> Nullable<BigInt>,
    }
}

diesel::table! {
    panel_columns (user_id, list) {
        user_id -> BigInt,
        list -> Text,
        chosen -> Text,
    }
}

diesel::table! {
    panel_settings (user_id) {
        user_id -> BigInt,
        time_zone -> Text,
        page_size -> BigInt,
        theme -> Text,
        shortcuts -> Bool,
    }
}

diesel::table! {
    quarter_totals (quarter, kind) {
        quarter -> Timestamp,
        kind -> Text,
        count -> BigInt,
        amount -> BigInt,
    }
}

diesel::table! {
    responses (chat_id) {
        chat_id -> BigInt,
        user_id -> BigInt,
        previous_chat_id -> Nullable<BigInt>,
        request -> Text,
        bytes_before -> BigInt,
    }
}

diesel::table! {
    saved_views (id) {
        id -> BigInt,
        user_id -> BigInt,
        list -> Text,
        name -> Text,
        query -> Text,
        is_shared -> Bool,
        created_at -> Timestamp,
    }
}

diesel::table! {
    sessions (id) {
        id -> BigInt,
        user_id -> BigInt,
        digest -> Binary,
        created_at -> Timestamp,
        last_used_at -> Timestamp,
        expires_at -> Timestamp,
        address -> Text,
        user_agent -> Text,
        messages -> Text,
    }
}

diesel::table! {
    user_balances (user_id) {
        user_id -> BigInt,
        balance -> BigInt,
    }
}

diesel::table! {
    users (id) {
        id -> BigInt,
        username -> Text,
        username_canonical -> Text,
        password -> Text,
        tokens -> BigInt,
        is_active -> Bool,
        is_staff -> Bool,
        is_superuser -> Bool,
        date_joined -> Timestamp,
        last_login -> Nullable<Timestamp>,
        version -> BigInt,
        concurrent_chats -> Nullable<BigInt>,
        requests_per_minute -> Nullable<BigInt>,
        username_skeleton -> Nullable<Text>,
        skeleton_guarded -> Bool,
    }
}

diesel::table! {
    verifications (id) {
        id -> BigInt,
        actor_id -> Nullable<BigInt>,
        started_at -> Timestamp,
        finished_at -> Nullable<Timestamp>,
        damage -> Text,
        failure -> Nullable<Text>,
    }
}

diesel::joinable!(auth_tokens -> users (user_id));
diesel::joinable!(chats -> conversations (conversation_id));
diesel::joinable!(chats -> users (user_id));
diesel::joinable!(conversations -> users (user_id));
diesel::joinable!(embedding_answers -> chats (chat_id));
diesel::joinable!(idempotency_keys -> chats (chat_id));
diesel::joinable!(idempotency_keys -> users (user_id));
diesel::joinable!(ledger_entries -> chats (chat_id));
diesel::joinable!(responses -> chats (chat_id));
diesel::joinable!(responses -> users (user_id));
diesel::joinable!(sessions -> users (user_id));
diesel::joinable!(user_balances -> users (user_id));

diesel::allow_tables_to_appear_in_same_query!(
    audit_log,
    auth_tokens,
    backup_runs,
    bulk_failures,
    bulk_former_limits,
    bulk_operations,
    bulk_undos,
    chats,
    chats_to_follow,
    compatibility,
    conversations,
    embedding_answers,
    follower_marks,
    idempotency_keys,
    import_map,
    ledger_entries,
    models,
    panel_columns,
    panel_settings,
    quarter_totals,
    responses,
    saved_views,
    sessions,
    user_balances,
    users,
    verifications,
);
