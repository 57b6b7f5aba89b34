"""Speech and audio: spectrograms of texts and of recordings, and their sounds."""

from __future__ import annotations

from fmcore import Register, hookimpl

__all__ = ["register_codecs", "register_datasets", "register_metrics", "register_models"]


@hookimpl
def register_datasets(register: Register) -> None:
    """Register the datasets of speech."""
    register(
        "speech",
        "fmcore_audio.speech:Speech",
        summary="recordings and their texts: metadata.csv and wavs/, as LJ Speech",
    )
    register(
        "asterisk",
        "fmcore_audio.asterisk:Asterisk",
        summary="568 prompts of one voice, of a Debian package",
    )
    register(
        "spoken_digits",
        "fmcore_audio.spoken_digits:SpokenDigits",
        summary="strings of digits, spoken by espeak-ng",
    )
    register(
        "audio_sr",
        "fmcore_audio.audio_sr:AudioSR",
        summary="sounds and their low-passed copies, for bandwidth extension",
    )
    register(
        "spectra",
        "fmcore_audio.spectra:Spectra",
        summary="complex spectra of speech and their mel spectrograms, for a vocoder",
    )


@hookimpl
def register_models(register: Register) -> None:
    """Register the networks of speech."""
    register(
        "speech_small",
        "fmcore_audio.speech_small:SpeechSmall",
        summary="text to spectrogram by dilated convolutions, for a few minutes on a CPU",
    )
    register(
        "matcha",
        "fmcore_audio.matcha:Matcha",
        summary="Matcha-TTS: text to spectrogram by transformers and a 1-D U-Net",
    )
    register(
        "wideband",
        "fmcore_audio.wideband:Wideband",
        summary="bandwidth extension by dilated convolutions, for a few minutes on a CPU",
    )
    register(
        "voicebox",
        "fmcore_audio.voicebox:Voicebox",
        summary="the network of FLowHigh: bandwidth extension by transformer or ConvNeXt layers",
    )
    register(
        "spectrum_net",
        "fmcore_audio.spectrum_net:SpectrumNet",
        summary="mel spectrogram to complex spectrum by dilated convolutions",
    )


@hookimpl
def register_codecs(register: Register) -> None:
    """Register what makes sounds of spectrograms."""
    register(
        "griffin_lim",
        "fmcore_audio.griffin_lim:GriffinLim",
        summary="sounds of spectrograms, without a trained vocoder",
    )
    register(
        "band_replace",
        "fmcore_audio.band_replace:BandReplace",
        summary="sounds of another codec, with the input's band below the cutoff",
    )
    register(
        "flow_vocoder",
        "fmcore_audio.flow_vocoder:FlowVocoder",
        summary="sounds of spectrograms, by another run that was trained for it",
    )
    register(
        "hifigan",
        "fmcore_audio.hifigan:Hifigan",
        summary="sounds of spectrograms, by a published HiFi-GAN generator",
    )


@hookimpl
def register_metrics(register: Register) -> None:
    """Register the metrics of speech."""
    register(
        "word_error",
        "fmcore_audio.word_error:WordError",
        summary="word error rate of spoken samples, by PocketSphinx",
    )
    register(
        "mel_l1",
        "fmcore_audio.mel_metrics:MelL1",
        summary="difference of log-mel values from the recordings, after time warping",
    )
    register(
        "detail",
        "fmcore_audio.mel_metrics:Detail",
        summary="variance of differences between frames, relative to the recordings",
    )
    register(
        "lsd",
        "fmcore_audio.lsd:LSD",
        summary="log-spectral distance of bandwidth extension",
    )
    register(
        "lsd_hf",
        "fmcore_audio.lsd:LSDHF",
        summary="log-spectral distance above the cutoff",
    )
    register(
        "dnsmos",
        "fmcore_audio.dnsmos:DNSMOS",
        summary="opinion score of speech by DNSMOS, without a reference",
    )
    register(
        "visqol",
        "fmcore_audio.visqol:ViSQOL",
        summary="opinion score of bandwidth extension by ViSQOL, against the recordings",
    )
    register(
        "rtf",
        "fmcore_audio.rtf:RealTimeFactor",
        summary="seconds of computing for a second of sound",
    )
