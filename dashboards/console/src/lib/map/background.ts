/** What lies under the town: a plain sheet, an extract of a map that the site serves itself, or tiles from elsewhere. */
import { addProtocol, type LayerSpecification, type StyleSpecification } from 'maplibre-gl';
import type { Site } from '../api/client';
import { colour } from '../severity';

const paper = (): LayerSpecification => ({ id: 'paper', type: 'background', paint: { 'background-color': colour('paper') } });

/** The layers of a Protomaps basemap (its schema of version 4): land use, water, buildings, roads. Names need fonts, which a plain extract has not. */
function streets(): LayerSpecification[] {
  const fill = (id: string, layer: string, name: string, opacity: number): LayerSpecification => ({
    id,
    type: 'fill',
    source: 'base',
    'source-layer': layer,
    filter: ['==', ['geometry-type'], 'Polygon'],
    paint: { 'fill-color': colour(name), 'fill-opacity': opacity },
  });
  const wider = (small: number, large: number) => ['interpolate', ['exponential', 1.6], ['zoom'], 11, small, 18, large] as never;
  return [
    fill('green', 'landuse', 'accent', 0.05),
    fill('water', 'water', 'warning', 0.16),
    fill('buildings', 'buildings', 'ink-3', 0.16),
    { id: 'road-edges', type: 'line', source: 'base', 'source-layer': 'roads', layout: { 'line-cap': 'round', 'line-join': 'round' }, paint: { 'line-color': colour('line'), 'line-width': wider(1.5, 16) } },
    { id: 'roads', type: 'line', source: 'base', 'source-layer': 'roads', layout: { 'line-cap': 'round', 'line-join': 'round' }, paint: { 'line-color': colour('card'), 'line-width': wider(0.8, 12) } },
  ];
}

/** MapLibre's style for this site. */
export async function background(site: Site | null): Promise<StyleSpecification> {
  const source = site?.map;
  if (source?.pmtiles_url) {
    const { PMTiles, Protocol, TileType } = await import('pmtiles');
    const protocol = new Protocol();
    const url = new URL(source.pmtiles_url, location.origin).href;
    const archive = new PMTiles(url);
    protocol.add(archive);
    addProtocol('pmtiles', protocol.tile);
    const isVector = (await archive.getHeader()).tileType === TileType.Mvt;
    const base = { url: `pmtiles://${url}`, attribution: source.attribution };
    return isVector
      ? { version: 8, sources: { base: { type: 'vector', ...base } }, layers: [paper(), ...streets()] }
      : { version: 8, sources: { base: { type: 'raster', tileSize: 256, ...base } }, layers: [paper(), { id: 'base', type: 'raster', source: 'base' }] };
  }
  if (source?.tiles_url) {
    return {
      version: 8,
      sources: { base: { type: 'raster', tiles: [source.tiles_url], tileSize: 256, attribution: source.attribution } },
      layers: [paper(), { id: 'base', type: 'raster', source: 'base' }],
    };
  }
  return { version: 8, sources: {}, layers: [paper()] };
}
