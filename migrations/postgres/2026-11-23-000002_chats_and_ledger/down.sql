DROP TABLE ledger_entries;
DROP FUNCTION ledger_entries_refuse();
DROP FUNCTION ledger_entries_within_charge();
DROP TABLE chats;
