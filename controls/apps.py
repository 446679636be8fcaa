from django import apps


class ControlsConfig(apps.AppConfig):
    name = "controls"
