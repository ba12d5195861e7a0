/**
 * The map: MapLibre on a plain background with the zones' outlines, on an extract of a map that the site serves itself
 * (PMTiles), or on tiles that the configuration names.
 */
import type { Feature, FeatureCollection } from 'geojson';
import { GeoJSONSource, Map as MapLibre, Marker, NavigationControl, setWorkerUrl, type LngLatBoundsLike } from 'maplibre-gl';
import 'maplibre-gl/dist/maplibre-gl.css';
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?url';
import type { Device, Site, Zone } from '../api/client';
import type { Language } from '../i18n/index.svelte';
import { colour, rank, type State } from '../severity';
import { background } from './background';
import { disc, mark, STATES } from './icons';
import { keepPace } from './pace';

setWorkerUrl(workerUrl);

export type LonLat = [number, number];

export interface Placed {
  device: Device;
  state: State;
}

export interface RouteStop {
  place: LonLat;
  label: string;
  /** A colour of `app.css`. */
  state: string;
}

export interface TownMap {
  devices(placed: Placed[]): void;
  /** `fills` are colours of `app.css` by zone. */
  zones(zones: Zone[], language: Language, fills?: Record<string, string>): void;
  /** Ways, each through its places, and what is at them. */
  route(ways: LonLat[][], stops: RouteStop[]): void;
  select(place: LonLat | null): void;
  fit(points: number[][]): void;
  /** For those who draw more. */
  readonly raw: MapLibre;
  remove(): void;
}

export interface Options {
  /** Clicked: a device, or nothing. */
  onselect?: (id: string | null) => void;
  /** What covers the map's edges. */
  padding?: { top: number; bottom: number; left: number; right: number };
}

/** More devices than these are drawn as clusters where they are dense. */
const CLUSTER_FROM = 1_000;
const CLUSTER_ZOOM_MAX = 15;

function centre(outline: number[][]): LonLat {
  const corners = outline.slice(0, -1);
  const sum = corners.reduce<LonLat>((all, corner) => [all[0] + (corner[0] ?? 0), all[1] + (corner[1] ?? 0)], [0, 0]);
  return [sum[0] / corners.length, sum[1] / corners.length];
}

function bounds(points: number[][]): LngLatBoundsLike | null {
  if (points.length === 0) return null;
  const lon = points.map((point) => point[0] ?? 0);
  const lat = points.map((point) => point[1] ?? 0);
  return [Math.min(...lon), Math.min(...lat), Math.max(...lon), Math.max(...lat)];
}

export const features = (list: Feature[]): FeatureCollection => ({ type: 'FeatureCollection', features: list });
const point = (place: LonLat, properties: Record<string, unknown> = {}): Feature => ({
  type: 'Feature',
  geometry: { type: 'Point', coordinates: place },
  properties,
});

function addLayers(map: MapLibre, clustered: boolean): void {
  map.addSource('zones', { type: 'geojson', data: features([]) });
  map.addSource('ways', { type: 'geojson', data: features([]) });
  map.addSource('stops', { type: 'geojson', data: features([]) });
  map.addSource('selected', { type: 'geojson', data: features([]) });
  map.addSource('devices', {
    type: 'geojson',
    data: features([]),
    cluster: clustered,
    clusterRadius: 46,
    clusterMaxZoom: CLUSTER_ZOOM_MAX,
    clusterProperties: { order: ['max', ['get', 'order']] },
  });
  map.addLayer({ id: 'zones', type: 'fill', source: 'zones', paint: { 'fill-color': ['get', 'colour'], 'fill-opacity': ['get', 'opacity'] } });
  map.addLayer({ id: 'edges', type: 'line', source: 'zones', paint: { 'line-color': ['get', 'colour'], 'line-opacity': 0.6, 'line-width': 1.5 } });
  map.addLayer({
    id: 'ways',
    type: 'line',
    source: 'ways',
    layout: { 'line-join': 'round', 'line-cap': 'round' },
    paint: { 'line-color': colour('accent'), 'line-width': 3, 'line-opacity': 0.75 },
  });
  map.addLayer({ id: 'selected', type: 'circle', source: 'selected', paint: { 'circle-radius': 18, 'circle-color': colour('focus'), 'circle-opacity': 0.25, 'circle-stroke-color': colour('focus'), 'circle-stroke-width': 2 } });
  const everywhere = { 'icon-allow-overlap': true, 'icon-ignore-placement': true };
  map.addLayer({
    id: 'devices',
    type: 'symbol',
    source: 'devices',
    filter: ['!', ['has', 'point_count']],
    layout: {
      ...everywhere,
      'icon-image': ['get', 'state'],
      // The most urgent lies on top.
      'symbol-sort-key': ['get', 'order'],
      'icon-size': ['interpolate', ['linear'], ['zoom'], 11, 0.5, 14, 0.85, 17, 1.25],
    },
  });
  map.addLayer({
    id: 'clusters',
    type: 'symbol',
    source: 'devices',
    filter: ['has', 'point_count'],
    layout: {
      ...everywhere,
      'icon-image': ['concat', 'disc:', ['to-string', ['get', 'order']], ':', ['to-string', ['get', 'point_count_abbreviated']]],
      'symbol-sort-key': ['get', 'order'],
    },
  });
  map.addLayer({ id: 'stops', type: 'symbol', source: 'stops', layout: { ...everywhere, 'icon-image': ['get', 'icon'], 'icon-size': ['interpolate', ['linear'], ['zoom'], 12, 0.5, 16, 0.85] } });
}

/** `order` of a device: the more urgent, the larger. */
const orderOf = (state: State) => 10 - rank(state);
const stateOfOrder = (order: number): State => STATES.find((state) => orderOf(state) === order) ?? 'ok';

/** Discs are drawn when they are first asked for. */
function drawDiscs(map: MapLibre): void {
  map.on('styleimagemissing', ({ id }) => {
    const [kind, first = '', text = ''] = id.split(':');
    if (map.hasImage(id)) return;
    if (kind === 'disc') map.addImage(id, disc(text, stateOfOrder(Number(first))), { pixelRatio: 2 });
    if (kind === 'stop') map.addImage(id, disc(text, first), { pixelRatio: 2 });
  });
}

function listen(map: MapLibre, onselect: (id: string | null) => void): void {
  map.on('click', (event) => {
    const around: [LonLat, LonLat] = [
      [event.point.x - 8, event.point.y - 8],
      [event.point.x + 8, event.point.y + 8],
    ];
    const cluster = map.queryRenderedFeatures(around, { layers: ['clusters'] })[0];
    if (cluster) {
      void (map.getSource('devices') as GeoJSONSource).getClusterExpansionZoom(Number(cluster.properties.cluster_id)).then((zoom) => {
        map.easeTo({ center: event.lngLat, zoom });
      });
      return;
    }
    const hit = map.queryRenderedFeatures(around, { layers: ['devices'] });
    const best = hit.sort((a, b) => Number(b.properties.order) - Number(a.properties.order))[0];
    onselect(best ? String(best.properties.id) : null);
  });
  for (const layer of ['devices', 'clusters']) {
    map.on('mousemove', layer, () => (map.getCanvas().style.cursor = 'pointer'));
    map.on('mouseleave', layer, () => (map.getCanvas().style.cursor = ''));
  }
}

export async function open(box: HTMLElement, site: Site | null, count: number, options: Options = {}): Promise<TownMap> {
  const map = new MapLibre({
    container: box,
    style: await background(site),
    center: [119.648, 30.231],
    zoom: 13,
    attributionControl: { compact: true },
    pitchWithRotate: false,
    dragRotate: false,
    fadeDuration: 0,
  });
  // On a phone the thumb is below, and the panels are above.
  map.addControl(new NavigationControl({ showCompass: false }), box.clientWidth > 700 ? 'top-right' : 'bottom-right');
  drawDiscs(map);
  keepPace(map);
  await map.once('load');
  addLayers(map, count >= CLUSTER_FROM);
  for (const state of STATES) map.addImage(state, mark(state), { pixelRatio: 2 });
  if (options.onselect) listen(map, options.onselect);

  let names: Marker[] = [];
  let fitted = false;
  const source = (id: string) => map.getSource(id) as GeoJSONSource;
  const fit = (points: number[][], animate: boolean) => {
    const around = bounds(points);
    if (!around) return;
    map.fitBounds(around, { padding: options.padding ?? 40, animate, maxZoom: 16 });
    fitted = true;
  };
  const firstFit = (points: number[][]) => {
    if (!fitted) fit(points, false);
  };

  return {
    raw: map,
    fit: (points) => fit(points, true),
    devices(placed) {
      firstFit(placed.map(({ device }) => [device.lon ?? 0, device.lat ?? 0]));
      const list = placed.map(({ device, state }) => point([device.lon ?? 0, device.lat ?? 0], { id: device.id, state, order: orderOf(state) }));
      source('devices').setData(features(list));
    },
    zones(zones, language, fills = {}) {
      const outlined = zones.filter((zone) => zone.outline.length > 3);
      firstFit(outlined.flatMap((zone) => zone.outline));
      source('zones').setData(
        features(
          outlined.map((zone) => ({
            type: 'Feature',
            geometry: { type: 'Polygon', coordinates: [zone.outline] },
            properties: { colour: colour(fills[zone.id] ?? 'accent'), opacity: fills[zone.id] ? 0.22 : 0.09 },
          })),
        ),
      );
      for (const marker of names) marker.remove();
      names = outlined.map((zone) => {
        const element = document.createElement('div');
        element.className = 'zone-name';
        element.textContent = zone.name[language];
        return new Marker({ element }).setLngLat(centre(zone.outline)).addTo(map);
      });
      if (map.getLayer('paper')) map.setPaintProperty('paper', 'background-color', colour('paper'));
      map.setPaintProperty('ways', 'line-color', colour('accent'));
      for (const state of STATES) map.updateImage(state, mark(state));
    },
    route(ways, stops) {
      source('ways').setData(features(ways.map((way) => ({ type: 'Feature', geometry: { type: 'LineString', coordinates: way }, properties: {} }))));
      source('stops').setData(features(stops.map((stop) => point(stop.place, { icon: `stop:${stop.state}:${stop.label}` }))));
      firstFit(ways.flat());
    },
    select(place) {
      source('selected').setData(features(place ? [point(place)] : []));
      if (place && !map.getBounds().contains(place)) map.easeTo({ center: place });
    },
    remove() {
      map.remove();
    },
  };
}
