"""What uvicorn loads: `uvicorn api.main:app`."""

from api.app import create_app
from shared.settings import Settings

app = create_app(Settings())
