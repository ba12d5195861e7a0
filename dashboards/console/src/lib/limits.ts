/** Limits of the embedded broker whose name is not the one key by which they are raised. */
const KEYS: Record<string, string[]> = {
  sessions_kept: ['sessions_kept', 'sessions_kept_per_credential', 'sessions_kept_per_gateway'],
  subscriptions: ['subscriptions', 'subscriptions_per_gateway'],
  receive_max: ['receive_max', 'receive_max_per_gateway'],
  user_properties: ['user_properties', 'user_property_bytes'],
  messages_per_s: ['messages_per_s', 'bytes_per_s'],
  queue_messages: ['queue_messages', 'queue_bytes'],
  queue_bytes_total: ['queue_bytes_total', 'queue_bytes_stored'],
  retained: ['retained', 'retained_bytes'],
  // What a client says itself.
  client_packet_bytes: [],
  expiry: [],
};

/** The keys of `[mqtt.embedded.limits]` that raise a limit. */
export const keysOf = (limit: string): string[] => KEYS[limit] ?? [limit];
