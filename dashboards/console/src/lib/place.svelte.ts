/** Where this phone is, while a page wants to know. */
import type { LonLat } from './map';

const EARTH_M = 6_371_008.8;
const state = $state<{ at: LonLat | null; refused: boolean }>({ at: null, refused: false });

export const here = {
  get at(): LonLat | null {
    return state.at;
  },
  get refused(): boolean {
    return state.refused;
  },
  /** Gives what ends it. */
  watch(): () => void {
    if (!('geolocation' in navigator)) {
      state.refused = true;
      return () => undefined;
    }
    const id = navigator.geolocation.watchPosition(
      ({ coords }) => (state.at = [coords.longitude, coords.latitude]),
      () => (state.refused = true),
      { enableHighAccuracy: true, maximumAge: 15_000 },
    );
    return () => navigator.geolocation.clearWatch(id);
  },
};

/** Metres as the crow flies. */
export function metresBetween(a: LonLat, b: LonLat): number {
  const [lonA, latA, lonB, latB] = [a[0], a[1], b[0], b[1]].map((degrees) => (degrees * Math.PI) / 180) as [number, number, number, number];
  const half = (angle: number) => Math.sin(angle / 2) ** 2;
  return 2 * EARTH_M * Math.asin(Math.sqrt(half(latB - latA) + Math.cos(latA) * Math.cos(latB) * half(lonB - lonA)));
}

export function distanceText(metres: number): string {
  return metres < 950 ? `${Math.round(metres / 10) * 10} m` : `${(metres / 1000).toFixed(1)} km`;
}
