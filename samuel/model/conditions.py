"""What the network is given beside the noise: one tensor of channels, a column a latent frame.

| channels | what |
|---|---|
| 0 to 63 | latents of the vocals, normalized |
| 64 | 1 where they are known |
| 65 to 128 | latents of an arrangement of the lead sheet, normalized as the accompaniment is |
| 129 | 1 where they are known |
| 130 to 161 | the lead sheet (`samuel.lead_sheet.frames`, which says itself what is known) |
| 162 to 177 | features of the vocals (`samuel.vocals.features`) |
| 178 | 1 where they are known |

What is not known is zero. A network of the preset `paper` knows the vocals' latents alone.
"""

from samuel.config import LATENT_CHANNELS

SHEET_CHANNELS, FEATURE_CHANNELS = 32, 16

VOCALS = slice(0, LATENT_CHANNELS)
VOCALS_KNOWN = VOCALS.stop
ARRANGEMENT = slice(VOCALS_KNOWN + 1, VOCALS_KNOWN + 1 + LATENT_CHANNELS)
ARRANGEMENT_KNOWN = ARRANGEMENT.stop
SHEET = slice(ARRANGEMENT_KNOWN + 1, ARRANGEMENT_KNOWN + 1 + SHEET_CHANNELS)
FEATURES = slice(SHEET.stop, SHEET.stop + FEATURE_CHANNELS)
FEATURES_KNOWN = FEATURES.stop
CONDITION_CHANNELS = FEATURES_KNOWN + 1
GUIDE_CHANNELS = CONDITION_CHANNELS - VOCALS_KNOWN - 1
"""All but those of the vocals."""

GROUPS = {
    "vocals": slice(VOCALS.start, VOCALS_KNOWN + 1),
    "arrangement": slice(ARRANGEMENT.start, ARRANGEMENT_KNOWN + 1),
    "lead_sheet": SHEET,
    "features": slice(FEATURES.start, FEATURES_KNOWN + 1),
}
"""Channels that are known or unknown together."""
