// @generated automatically by Diesel CLI.

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
    }
}

diesel::table! {
    compatibility (id) {
        id -> BigInt,
        oldest_binary -> Text,
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
    }
}

diesel::joinable!(auth_tokens -> users (user_id));
diesel::joinable!(chats -> users (user_id));
diesel::joinable!(idempotency_keys -> chats (chat_id));
diesel::joinable!(idempotency_keys -> users (user_id));
diesel::joinable!(ledger_entries -> chats (chat_id));

diesel::allow_tables_to_appear_in_same_query!(
    auth_tokens,
    chats,
    compatibility,
    idempotency_keys,
    ledger_entries,
    users,
);
