"""Configurations and metadata of the form of published MONAI bundles, made small."""

from __future__ import annotations

from typing import Any

#: The brain latent diffusion model of MONAI Generative, made small.
BRAIN_AUTOENCODER: dict[str, Any] = {
    "_target_": "generative.networks.nets.AutoencoderKL",
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 1,
    "latent_channels": 3,
    "num_channels": [4, 8],
    "num_res_blocks": 1,
    "norm_num_groups": 4,
    "norm_eps": 1e-06,
    "attention_levels": [False, False],
    "with_encoder_nonlocal_attn": False,
    "with_decoder_nonlocal_attn": False,
}
BRAIN_UNET: dict[str, Any] = {
    "_target_": "generative.networks.nets.DiffusionModelUNet",
    "spatial_dims": 3,
    "in_channels": 7,
    "out_channels": 3,
    "num_channels": [4, 8, 8],
    "num_res_blocks": 1,
    "attention_levels": [False, True, True],
    "norm_num_groups": 4,
    "norm_eps": 1e-06,
    "resblock_updown": True,
    "num_head_channels": [0, 8, 8],
    "with_conditioning": True,
    "transformer_num_layers": 1,
    "cross_attention_dim": 4,
    "upcast_attention": True,
    "use_flash_attention": False,
}
BRAIN: dict[str, Any] = {
    "imports": ["$import torch", "$from pathlib import Path"],
    "bundle_root": ".",
    "model_dir": "$@bundle_root + '/models'",
    "create_output_dir": "$Path(@output_dir).mkdir(exist_ok=True)",
    "gender": 0.0,
    "age": 0.1,
    "ventricular_vol": 0.2,
    "brain_vol": 0.4,
    "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
    "conditioning": (
        "$torch.tensor([[@gender, @age, @ventricular_vol, @brain_vol]]).to(@device).unsqueeze(1)"
    ),
    "autoencoder_def": BRAIN_AUTOENCODER,
    "load_autoencoder_path": "$@model_dir + '/autoencoder.pth'",
    "autoencoder": "$@autoencoder_def.to(@device)",
    "diffusion_def": BRAIN_UNET,
    "load_diffusion_path": "$@model_dir + '/diffusion_model.pth'",
    "diffusion": "$@diffusion_def.to(@device)",
    "scheduler": {
        "_target_": "generative.networks.schedulers.DDIMScheduler",
        "_requires_": ["@load_diffusion", "@load_autoencoder"],
        "beta_start": 0.0015,
        "beta_end": 0.0205,
        "num_train_timesteps": 1000,
        "beta_schedule": "scaled_linear",
        "clip_sample": False,
    },
    "noise": "$torch.randn((1, 3, 4, 8, 4)).to(@device)",
    "set_timesteps": "$@scheduler.set_timesteps(num_inference_steps=6)",
    "sampler": {"_target_": "scripts.sampler.Sampler", "_requires_": "@set_timesteps"},
    "sample": "$@sampler.sampling_fn(@noise, @autoencoder, @diffusion, @scheduler, @conditioning)",
    "saver": {"_target_": "scripts.saver.NiftiSaver", "output_dir": "@output_dir"},
}
BRAIN_METADATA: dict[str, Any] = {
    "version": "1.0.0",
    "monai_version": "1.1.0",
    "task": "Brain image synthesis",
    "description": "Makes 3D T1w brains for four covariates.",
    "authors": "Ada Example, Ben Example, and Cy Example",
    "data_source": "https://www.ukbiobank.ac.uk/",
    "data_type": "nibabel",
    "image_classes": "T1w head MRI with 1x1x1 mm voxel size",
    "eval_metrics": {"fid": 0.0076, "msssim": 0.6555},
    "intended_use": "An example.",
    "network_data_format": {
        "inputs": {
            "image": {
                "type": "tabular",
                "num_channels": 1,
                "value_range": [0, 1],
                "channel_def": {
                    "0": "Gender",
                    "1": "Age",
                    "2": "Ventricular volume",
                    "3": "Brain volume",
                },
            }
        },
        "outputs": {"pred": {"type": "image", "value_range": [0, 1], "channel_def": {"0": "T1w"}}},
    },
}

#: The BraTS latent diffusion model of axial slices, made small.
SLICES: dict[str, Any] = {
    "bundle_root": ".",
    "spatial_dims": 2,
    "image_channels": 1,
    "latent_channels": 1,
    "latent_shape": ["@latent_channels", 8, 4],
    "autoencoder_def": {
        "_target_": "monai.networks.nets.autoencoderkl.AutoencoderKL",
        "spatial_dims": "@spatial_dims",
        "in_channels": "@image_channels",
        "out_channels": "@image_channels",
        "latent_channels": "@latent_channels",
        "channels": [4, 8],
        "num_res_blocks": 1,
        "norm_num_groups": 4,
        "norm_eps": 1e-06,
        "attention_levels": [False, False],
        "with_encoder_nonlocal_attn": True,
        "with_decoder_nonlocal_attn": True,
        "include_fc": False,
    },
    "network_def": {
        "_target_": "monai.networks.nets.diffusion_model_unet.DiffusionModelUNet",
        "spatial_dims": "@spatial_dims",
        "in_channels": "@latent_channels",
        "out_channels": "@latent_channels",
        "channels": [4, 8],
        "attention_levels": [False, True],
        "num_head_channels": [0, 8],
        "num_res_blocks": 1,
        "norm_num_groups": 4,
        "include_fc": False,
        "use_combined_linear": False,
    },
    "load_autoencoder_path": "$@bundle_root + '/models/model_autoencoder.pt'",
    "noise_scheduler": {
        "_target_": "monai.networks.schedulers.ddim.DDIMScheduler",
        "_requires_": ["@load_diffusion", "@load_autoencoder"],
        "num_train_timesteps": 1000,
        "beta_start": 0.0015,
        "beta_end": 0.0195,
        "schedule": "scaled_linear_beta",
        "clip_sample": False,
    },
    "noise": "$torch.randn([1]+@latent_shape).to(@device)",
    "set_timesteps": "$@noise_scheduler.set_timesteps(num_inference_steps=6)",
    "run": ["$@inferer.run(@noise, @autoencoder, @diffusion, @noise_scheduler)"],
}
SLICES_METADATA: dict[str, Any] = {
    "version": "1.1.2",
    "monai_version": "1.4.0",
    "name": "Slices of somebody",
    "task": "Axial slices of somebody",
    "authors": "Nobody",
    "data_type": "nibabel",
    "image_classes": "Flair brain MRI axial slices with 1x1 mm voxel size",
}

#: A diffusion in pixels, as the one of MedNIST's hands, with few steps.
HANDS: dict[str, Any] = {
    "network_def": {
        "_target_": "generative.networks.nets.DiffusionModelUNet",
        "spatial_dims": 2,
        "in_channels": 1,
        "out_channels": 1,
        "num_channels": [4, 8],
        "attention_levels": [False, True],
        "num_res_blocks": 1,
        "num_head_channels": 8,
        "norm_num_groups": 4,
    },
    "image_dim": 8,
    "num_train_timesteps": 12,
    "scheduler": {
        "_target_": "generative.networks.schedulers.DDPMScheduler",
        "num_train_timesteps": "@num_train_timesteps",
    },
    "noise": "$torch.rand(1,1,@image_dim,@image_dim)",
    "sample": "$lambda x: @inferer.sample(x)",
}
HANDS_METADATA: dict[str, Any] = {
    "version": "0.1.0",
    "monai_version": "1.0.0",
    "task": "MedNIST Hand Generation",
    "authors": "Ada Example and Ben Example",
}

#: A generator from a latent of 6 numbers to 8 x 8 pixels.
GAN: dict[str, Any] = {
    "latent_size": 6,
    "num_samples": 10,
    "network_def": {
        "_target_": "Generator",
        "latent_shape": "@latent_size",
        "start_shape": [4, 2, 2],
        "channels": [4, 2, 1],
        "strides": [2, 2, 1],
    },
    "dataset": {
        "_target_": "Dataset",
        "data": "$[torch.rand(@latent_size) for i in range(@num_samples)]",
    },
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "Activationsd", "keys": "pred", "sigmoid": True},
            {"_target_": "SaveImaged", "output_dtype": "$np.uint8"},
        ],
    },
    "evaluator": {"_target_": "SupervisedEvaluator", "prepare_batch": "$lambda b, *_: b"},
}
GAN_METADATA: dict[str, Any] = {
    "version": "0.4.2",
    "monai_version": "1.0.0",
    "name": "Small hands",
    "task": "Generate random hand images from the MedNIST dataset",
    "authors": "Nobody",
    "data_type": "jpeg",
}
