/**
 * A map whose readers are told that something changed, but not what: thousands of entries with a signal each made every frame of
 * a busy town longer than a tenth of a second. Who reads one entry gets the same object as before when it has not changed.
 */
export class WatchedMap<K, V> extends Map<K, V> {
  #version = $state(0);

  override get size(): number {
    void this.#version;
    return super.size;
  }
  override get(key: K): V | undefined {
    void this.#version;
    return super.get(key);
  }
  override has(key: K): boolean {
    void this.#version;
    return super.has(key);
  }
  override values(): MapIterator<V> {
    void this.#version;
    return super.values();
  }
  override set(key: K, value: V): this {
    super.set(key, value);
    this.#version += 1;
    return this;
  }
  override delete(key: K): boolean {
    const was = super.delete(key);
    if (was) this.#version += 1;
    return was;
  }
  override clear(): void {
    super.clear();
    this.#version += 1;
  }
}
