"""Pictures in, pictures out: photos, masks, grids, videos, and the record inside each file.

Works on Pillow and numpy alone and knows nothing of networks or requests.
"""
